-- reads: checks, telling.  returns: one row per check: its promise, as its series are judged against it.  units: seconds
select
    check_id, check_name, schedule, tz, grace_s, max_runtime_s, coalesce(cannot_tell, false) as cannot_tell, spread
from checks left join telling using (check_id)
order by check_name, check_id
