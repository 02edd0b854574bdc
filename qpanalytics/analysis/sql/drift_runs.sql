-- reads: checks, runs.  units: seconds
-- returns: one row per run of the window that ended, by check and time, with weekday and hour of its start (else its end) in
-- the check's zone
with ended as (
    select check_id, coalesce(started_at, completed_at) as ran_at, duration_s, result = 'fail' as bad, seq
    from runs where completed_at is not null
)
select
    check_id, epoch_us(ran_at) / 1e6 as at_s, duration_s, bad,
    isodow(timezone(coalesce(tz, 'UTC'), ran_at)) as weekday,
    hour(timezone(coalesce(tz, 'UTC'), ran_at)) as hour
from ended join checks using (check_id)
order by check_id, ran_at, seq
