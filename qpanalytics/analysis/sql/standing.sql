-- reads: checks.  units: microseconds.  returns: one row per check: its promise, and how it stands at as_of.
select
    check_id, status, schedule, kind, tz, grace_s, max_runtime_s, severity, down_cause,
    epoch_us(coalesce(first_valid_from, first_ping_at)) as began_us,
    epoch_us(first_ping_at) as first_us,
    epoch_us(valid_to) as ended_us,
    epoch_us(next_expected_at) as next_us,
    epoch_us(down_since_at) as down_us
from checks order by check_id
