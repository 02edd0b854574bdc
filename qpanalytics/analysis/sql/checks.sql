-- reads: checks.  returns: one row per check.
select check_name as "check", source, key, name, status, schedule, tz, grace_s, max_runtime_s, next_expected_at,
    deadline_at, last_ping_at, last_duration_s, down_since_at, severity, tags
from checks order by check_name
