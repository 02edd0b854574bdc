-- reads: checks, occurrences.  units: microseconds and seconds
-- returns: one row per check: its promise, and its counted runs of the window by expected time, as far back as its schedule
-- has been the present one, as lists of one length:
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
    from occurrences
    where outcome not in ('excused', 'pending')
),
counted as (
    select
        check_id, expected_at, window_start_at,
        case when came then lateness_s else 'infinity'::double end as value_s,
        coalesce(well_s, 'infinity'::double) as well_s,
        coalesce(gap_s, 'infinity'::double) as gap_s,
        timezone(coalesce(tz, 'UTC'), expected_at)::date as day
    from seen join checks using (check_id)
    where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung') and expected_at >= scheduled_from
),
listed as (
    select
        check_id,
        list(epoch_us(expected_at) order by expected_at, window_start_at) as at_us,
        list(value_s order by expected_at, window_start_at) as value_s,
        list(well_s order by expected_at, window_start_at) as well_s,
        list(gap_s order by expected_at, window_start_at) as gap_s,
        list(isodow(day)::double order by expected_at, window_start_at) as weekday,
        list((day = last_day(day))::double order by expected_at, window_start_at) as month_end
    from counted
    group by check_id
)
select
    check_id, check_name, source, key, schedule, kind, severity, grace_s, max_runtime_s,
    coalesce(at_us, []) as at_us, coalesce(value_s, []) as value_s, coalesce(well_s, []) as well_s,
    coalesce(gap_s, []) as gap_s, coalesce(weekday, []) as weekday, coalesce(month_end, []) as month_end
from checks left join listed using (check_id)
order by check_name, check_id
