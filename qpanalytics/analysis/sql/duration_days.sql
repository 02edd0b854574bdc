-- reads: runs.  $tz: the reader's zone.  returns: one row per check and local day: the median duration of its successes.
select check_id, timezone($tz, completed_at)::date as day, quantile_cont(duration_s, 0.5) as p50_s
from runs where result = 'success' and duration_s is not null group by check_id, day order by check_id, day
