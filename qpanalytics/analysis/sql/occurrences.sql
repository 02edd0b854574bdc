-- reads: checks, occurrences.  returns: one row per expected run of the window.
select c.check_name as "check", o.expected_at, o.deadline_at, o.started_at, o.completed_at, o.outcome, o.lateness_s,
    o.start_delay_s, o.duration_s, o.attempts, o.failures, o.extra, o.vouched
from occurrences o join checks c using (check_id)
order by c.check_name, o.expected_at, o.window_start_at
