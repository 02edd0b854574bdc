-- reads: checks, judged; $ids: the checks, null for all; [$from_at, $to_at).  units: microseconds and seconds
-- returns: the counted runs of that time by check and expected time, as far back as its schedule has been the present one:
-- when each was expected, its lateness (infinity: it never came), how long after its expected time the check was well
-- again (infinity: not yet), the time to the next expected run, its weekday (1 is Monday) and whether its day is the last of
-- the month, both in the check's own zone.
with seen as (
    select
        *,
        outcome in ('on_time', 'late') as came,
        -- success after success: the next one ends whatever went wrong
        (min(epoch_us(completed_at)) filter (outcome in ('on_time', 'late')) over (
            partition by check_id order by expected_at, window_start_at rows between current row and unbounded following
        ) - epoch_us(expected_at)) / 1e6 as well_s
    from judged
    where outcome not in ('excused', 'pending')
        and expected_at >= $from_at and expected_at < $to_at and ($ids is null or list_contains($ids, check_id))
)
select
    check_id,
    epoch_us(expected_at) as at_us,
    case when came then lateness_s else 'infinity'::double end as value_s,
    coalesce(well_s, 'infinity'::double) as well_s,
    coalesce(gap_s, 'infinity'::double) as gap_s,
    isodow(timezone(coalesce(tz, 'UTC'), expected_at)) as weekday,
    timezone(coalesce(tz, 'UTC'), expected_at)::date = last_day(timezone(coalesce(tz, 'UTC'), expected_at)::date) as month_end
from seen join checks using (check_id)
where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung') and expected_at >= scheduled_from
order by check_id, expected_at, window_start_at
