-- reads: checks, telling.  returns: one row per check: what a figure says of its promise. units: seconds
select check_id, check_name, schedule, grace_s, max_runtime_s, coalesce(cannot_tell, false) as cannot_tell, spread
from checks left join telling using (check_id)
order by check_name, check_id
