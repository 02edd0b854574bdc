-- reads: checks, telling, recent, now_runs.  units: microseconds.  returns: one row per check with a counted run: those
-- of [$since, $until) that went wrong, how it went on from there up to as_of, and what is wrong in a row at the end.
-- Where ticks cannot be judged or nothing is promised, completions stand for runs and only a failure is wrong.
with told as (
    select check_id, schedule is not null and not coalesce(cannot_tell, false) as by_promise
    from checks left join telling using (check_id)
),
events as (
    select
        check_id, expected_at as event_at, window_start_at as tie_at, 0 as seq, outcome,
        outcome in ('missed', 'failed', 'hung') as bad, started_at is not null as began
    from recent semi join (from told where by_promise) using (check_id)
    where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
    union all
    select
        check_id, completed_at, completed_at, seq, case when success then 'on_time' else 'failed' end,
        not success, true
    from now_runs semi join (from told where not by_promise) using (check_id)
    where completed_at >= least($since, $as_of - to_days(90))
),
placed as (
    select
        *, event_at >= $since and event_at < $until as within,
        row_number() over (partition by check_id order by event_at, tie_at, seq) as place,
        -- trouble that lasts from before the window is an episode of the window too
        coalesce(
            lag(bad) over (partition by check_id, event_at >= $since order by event_at, tie_at, seq), false
        ) as bad_before
    from events
),
turns as (
    select
        check_id, max(place) filter (bad) as last_bad, coalesce(max(place) filter (not bad), 0) as last_kept
    from placed group by check_id
)
select
    check_id,
    count(*) filter (within) as n,
    coalesce(list(epoch_us(event_at) order by place) filter (within and outcome = 'missed'), []) as missed_us,
    coalesce(list(epoch_us(event_at) order by place) filter (within and outcome = 'failed'), []) as failed_us,
    coalesce(list(epoch_us(event_at) order by place) filter (within and outcome = 'hung'), []) as hung_us,
    count(*) filter (within and outcome = 'missed' and not began) as never_began,
    count(*) filter (within and bad and not bad_before) as episodes,
    count(*) filter (not bad and place > last_bad) as kept_since,
    count(*) filter (bad and place > last_kept) as streak,
    min(epoch_us(event_at)) filter (bad and place > last_kept) as streak_us,
    count(*) filter (bad and place > last_kept and outcome = 'missed' and not began) as streak_never_began
from placed join turns using (check_id)
group by check_id
order by check_id
