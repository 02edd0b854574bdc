-- reads: checks, now_runs, runs, vouched, store.occurrences, ahead.  returns: one row per check: what it usually does, and what its runs
-- of the window show apart from any promise.
with lately as (
    select
        check_id, count(*) as runs, count(started_at) as starts
    from now_runs where coalesce(completed_at, started_at) > $as_of - to_days(90)
    group by check_id
),
ever as (
    select
        check_id, max(epoch_us(completed_at)) filter (success) as last_success_us,
        min(epoch_us(started_at)) filter (completed_at is null and abandoned_at is null and limit_at <= $as_of) as open_us
    from now_runs group by check_id
),
failures as (
    select
        check_id, first(exit_status order by completed_at desc, seq desc) as exit_status
    from now_runs where not success and completed_at >= $since
    group by check_id
),
within as (
    select
        check_id,
        count(*) filter (result in ('open', 'abandoned') and overran) as never_ended,
        -- a run that ended is measured by itself: its limit may count from an earlier start that it took over
        count(*) filter (result in ('success', 'fail') and duration_s > max_runtime_s) as overran,
        count(*) filter (result in ('success', 'fail')) as completions,
        count(*) filter (result = 'fail') as failures
    from runs join checks using (check_id) group by check_id
),
promised as (
    -- stored runs, and those that are due since the last ping, which nobody stores; what nobody saw teaches nothing
    select o.check_id, count(*) as ever_n
    from (
        select check_id, expected_at, window_start_at, deadline_at from store.occurrences
        union all
        select check_id, expected_at, window_start_at, deadline_at from ahead
    ) o
    -- spans of one check are disjoint, so a window lies within one of them at most
    join vouched v on v.check_id = o.check_id and o.window_start_at >= v.since_at and o.deadline_at <= v.until_at
    where o.deadline_at <= $as_of and o.expected_at < $until
    group by o.check_id
)
select
    check_id,
    coalesce(l.runs, 0) as runs, coalesce(l.starts, 0) as starts,
    e.last_success_us, e.open_us, f.exit_status,
    coalesce(w.never_ended, 0) as never_ended, coalesce(w.overran, 0) as overran,
    coalesce(w.completions, 0) as completions, coalesce(w.failures, 0) as failures,
    coalesce(p.ever_n, 0) as ever_n
from checks
    left join lately l using (check_id)
    left join ever e using (check_id)
    left join failures f using (check_id)
    left join within w using (check_id)
    left join promised p using (check_id)
order by check_id
