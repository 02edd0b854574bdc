-- reads: occurrences.  $ids: checks.  units: microseconds and seconds
-- returns: one row per expected run of the window that counts, by expected time; no lateness where none arrived.
select check_id, epoch_us(expected_at) as at_us, lateness_s as value_s, outcome as result
from occurrences
where list_contains($ids, check_id) and vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
order by check_id, expected_at, window_start_at
