-- reads: checks, now_runs; $ids: the checks, null for all; [$from_at, $to_at).  units: seconds
-- returns: one row per run that ended in that time, by check and time, with weekday and hour of its start (else its end) in
-- the check's zone
with ended as (
    select check_id, coalesce(started_at, completed_at) as ran_at, duration_s, not success as bad, seq
    from now_runs
    where completed_at >= $from_at and completed_at < $to_at and ($ids is null or list_contains($ids, check_id))
)
select
    check_id, epoch_us(ran_at) / 1e6 as at_s, duration_s, bad,
    isodow(timezone(coalesce(tz, 'UTC'), ran_at)) as weekday,
    hour(timezone(coalesce(tz, 'UTC'), ran_at)) as hour
from ended join checks using (check_id)
order by check_id, ran_at, seq
