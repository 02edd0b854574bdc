-- reads: occurrences.  $id: a check.  units: microseconds.
-- returns: one row per expected run of the window that no success met in time, by deadline: outcome, whether it began at
-- all, and how many seconds its success came after the expected time (NULL: none came).
select
    epoch_us(expected_at) as expected_us, epoch_us(deadline_at) as deadline_us, outcome, started_at is not null as began,
    case when outcome = 'late' then lateness_s end as lateness_s
from occurrences
where check_id = $id and outcome in ('late', 'missed', 'failed', 'hung')
order by deadline_us, expected_us, window_start_at
