-- reads: paired (from runs.sql), windows (with settles_at), promises (check_id, from_at, to_at, max_runtime_s).
-- returns: the rows of store.runs: each run with its window, expected time and the limit past which it has hung.
-- A completion that settles an interval's window belongs there; otherwise the run's start, else its completion, decides.
with closing as (
    select check_id, settles_at, window_start_at, expected_at, end_at, deadline_at, max_runtime_s
    from windows where settles_at is not null
),
placed as (
    select p.*, coalesce(p.started_at, p.completed_at) as placed_at,
        c.window_start_at as closed_start_at, c.expected_at as closed_expected_at, c.end_at as closed_end_at,
        c.deadline_at as closed_deadline_at, c.max_runtime_s as closed_max_runtime_s
    from paired p
    left join closing c on c.check_id = p.check_id and c.settles_at = p.completed_at
),
roomy as (
    -- intervals take completed runs only through `closing`
    from windows where end_at is null or window_start_at < end_at
),
matched as (
    select p.*, w.window_start_at, w.expected_at, w.end_at, w.deadline_at, w.max_runtime_s,
        w.window_start_at is not null and (w.end_at is null or p.placed_at < w.end_at)
            and (w.closed_at is null or p.completed_at is null) as inside
    from placed p
    asof left join roomy w on w.check_id = p.check_id and p.placed_at >= w.window_start_at
),
chosen as (
    select m.* exclude (window_start_at, expected_at, end_at, deadline_at, max_runtime_s),
        case when closed_start_at is not null then closed_start_at when inside then window_start_at end
            as window_start_at,
        case when closed_start_at is not null then closed_expected_at when inside then expected_at end as expected_at,
        case when closed_start_at is not null then closed_end_at when inside then end_at end as end_at,
        case when closed_start_at is not null then closed_deadline_at when inside then deadline_at end as deadline_at,
        case when closed_start_at is not null then closed_max_runtime_s when inside then max_runtime_s end
            as max_runtime_s
    from matched m
),
-- limit_at counts from the first of the starts that the finish made abandoned, own_limit_at from the run's own start:
-- the one tells that a run overran, the other when an open run must be called hung.
limited as (
    select c.*,
        case when c.window_start_at is null then case when c.started_at < v.to_at then v.max_runtime_s end
            else c.max_runtime_s end as runtime_s,
        case when c.window_start_at is not null and c.end_at is not null then greatest(c.deadline_at, c.end_at) end
            as latest_at
    from chosen c
    asof left join promises v on v.check_id = c.check_id and coalesce(c.started_at, c.completed_at) >= v.from_at
)
select check_id, run_id, started_at, completed_at, duration_s, success, exit_status, abandoned_at,
    window_start_at, expected_at,
    case when started_at is null then null
        when runtime_s is not null then first_started_at + to_microseconds((runtime_s * 1e6)::bigint)
        else latest_at end as limit_at,
    case when started_at is null then null
        when runtime_s is not null then started_at + to_microseconds((runtime_s * 1e6)::bigint)
        else latest_at end as own_limit_at,
    seq
from limited order by check_id, seq
