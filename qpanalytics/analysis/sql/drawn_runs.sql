-- reads: runs.  $ids: checks; $most: so many of each, the latest.  units: microseconds and seconds
-- returns: one row per run of the window, oldest first; `n` counts all of its check.
select check_id, epoch_us(started_at) as started_us, epoch_us(completed_at) as completed_us, duration_s, result,
    count(*) over (partition by check_id) as n
from runs
where list_contains($ids, check_id)
qualify row_number() over (partition by check_id order by coalesce(completed_at, started_at) desc, seq desc) <= $most
order by check_id, coalesce(completed_at, started_at), seq
