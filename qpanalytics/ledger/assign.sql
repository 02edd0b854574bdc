-- reads: paired (from runs.sql), windows (with settles_at), promises (check_id, from_at, to_at, max_runtime_s).
-- returns: the rows of store.runs: each run with its window, expected time and the limits past which it has hung.
-- A completion that settles an interval's window belongs there, wherever it began; otherwise the run's start, else its
-- completion, decides among the fixed windows; a run that never completed lies in the rolling window it started in.
with placed as (
    select *, coalesce(started_at, completed_at) as placed_at from paired
),
fixed as (
    select * from windows where closed_at is null and (end_at is null or window_start_at < end_at)
),
rolling as (
    select * from windows where closed_at is not null and window_start_at < end_at
),
closing as (
    select p.check_id, p.seq, w.version, w.expected_at, w.end_at, w.deadline_at, w.max_runtime_s, 1 as rank
    from placed p join windows w on w.check_id = p.check_id and w.settles_at = p.completed_at
),
ticking as (
    select p.check_id, p.seq, w.version, w.expected_at, w.end_at, w.deadline_at, w.max_runtime_s, 2 as rank
    from placed p
    asof join fixed w on w.check_id = p.check_id and p.placed_at >= w.window_start_at
    where w.end_at is null or p.placed_at < w.end_at
),
unended as (
    select p.check_id, p.seq, w.version, w.expected_at, w.end_at, w.deadline_at, w.max_runtime_s, 3 as rank
    from placed p
    asof join rolling w on w.check_id = p.check_id and p.placed_at >= w.window_start_at
    where p.completed_at is null and p.placed_at < w.end_at
),
belonging as (
    select * from (from ticking union all from closing union all from unended)
    qualify row_number() over (partition by check_id, seq order by rank) = 1
),
-- limit_at counts from the first of the starts that the finish made abandoned, own_limit_at from the run's own start:
-- the one tells that a run overran, the other when an open run must be called hung.
limited as (
    select p.*, b.version, b.expected_at,
        case when b.seq is not null then b.max_runtime_s when p.placed_at < v.to_at then v.max_runtime_s end as runtime_s,
        case when b.end_at is not null then greatest(b.deadline_at, b.end_at) end as latest_at
    from placed p
    left join belonging b using (check_id, seq)
    asof left join promises v on v.check_id = p.check_id and p.placed_at >= v.from_at
)
select check_id, run_id, started_at, completed_at, duration_s, success, exit_status, abandoned_at,
    version, expected_at,
    case when started_at is null then null
        when runtime_s is not null then first_started_at + to_microseconds((runtime_s * 1e6)::bigint)
        else latest_at end as limit_at,
    case when started_at is null then null
        when runtime_s is not null then started_at + to_microseconds((runtime_s * 1e6)::bigint)
        else latest_at end as own_limit_at,
    seq
from limited order by check_id, seq
