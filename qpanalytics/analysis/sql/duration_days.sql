-- reads: now_runs.  $tz: the reader's zone; [$from_at, $to_at): the days.  units: seconds
-- returns: one row per check and local day: the median duration of the runs that succeeded
select check_id, timezone($tz, completed_at)::date as day, quantile_cont(duration_s, 0.5) as p50_s
from now_runs
where success and duration_s is not null and completed_at >= $from_at and completed_at < $to_at
group by check_id, day
order by check_id, day
