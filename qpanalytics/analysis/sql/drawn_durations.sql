-- reads: runs.  $ids: checks.  units: microseconds and seconds
-- returns: one row per completed run of the window that has a duration, by completion.
select check_id, epoch_us(completed_at) as at_us, duration_s as value_s, result
from runs
where list_contains($ids, check_id) and completed_at is not null and duration_s is not null
order by check_id, completed_at, seq
