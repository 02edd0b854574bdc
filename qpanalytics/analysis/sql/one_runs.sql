-- reads: runs, occurrences, store.pings.  $id: a check, $most.  units: microseconds and seconds.
-- returns: the last $most runs of the window, latest first: when each was expected, began and ended, how it ended, and what
-- its finishing ping said.  outcome is that of the expected run it belongs to, lateness_s only where it settled that one.
with last_runs as (
    select * from runs where check_id = $id
    order by coalesce(completed_at, started_at) desc, seq desc limit $most
),
settled as (
    select expected_at, completed_at, first(lateness_s order by window_start_at) as lateness_s
    from occurrences where check_id = $id and completed_at is not null group by expected_at, completed_at
),
bodies as (
    -- the finish itself, by its time: where a job pings twice in one instant the first body is shown
    select p.received_at as completed_at, first(p.body order by p.n nulls last, p.row_no, p.k) as body
    from store.pings p semi join last_runs l on l.completed_at = p.received_at
    where p.check_id = $id and p.kind in ('success', 'fail') and p.body is not null
    group by p.received_at
)
select
    epoch_us(l.expected_at) as expected_us, epoch_us(l.started_at) as started_us, epoch_us(l.completed_at) as completed_us,
    l.duration_s, l.result, l.overran, l.exit_status, s.lateness_s, b.body
from last_runs l
    left join settled s on s.expected_at = l.expected_at and s.completed_at = l.completed_at
    left join bodies b on b.completed_at = l.completed_at
order by coalesce(l.completed_at, l.started_at) desc, l.seq desc
