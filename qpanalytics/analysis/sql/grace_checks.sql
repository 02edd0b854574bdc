-- reads: checks; $ids: the checks, null for all.  units: seconds.  returns: one row per check: its promise
select check_id, check_name, source, key, schedule, kind, severity, grace_s, max_runtime_s
from checks where $ids is null or list_contains($ids, check_id)
order by check_name, check_id
