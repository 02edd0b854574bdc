-- reads: judged, now_runs.  $ids: checks; [$from_at, $to_at).  units: microseconds and seconds.
-- returns: one row per successful run with a duration, by completion, and one per counted run, by expected time:
-- its lateness, NULL where none arrived.
select check_id, 'duration' as what, epoch_us(completed_at) as at_us, duration_s as value_s, seq as tie
from now_runs
where list_contains($ids, check_id) and success and duration_s is not null
    and completed_at >= $from_at and completed_at < $to_at
union all
select check_id, 'lateness', epoch_us(expected_at), case when outcome in ('on_time', 'late') then lateness_s end,
    epoch_us(window_start_at)
from judged
where list_contains($ids, check_id) and vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
    and expected_at >= $from_at and expected_at < $to_at
order by check_id, what, at_us, tie
