-- reads: windows (check_id, version, expected_at, window_start_at, end_at, deadline_at, gap_s, max_runtime_s, anchored, closed_at),
--        seen (runs with version and expected_at, as they stood at one instant: completed_at, abandoned_at NULL if later).
-- returns: one row per window: the facts that outcome is an expression of.
-- Ties of instants are settled by seq, the order of the pings in their check.
with settled as (
    select check_id, version, expected_at,
        first(completed_at order by completed_at, seq) filter (where success) as success_at,
        first(started_at order by completed_at, seq) filter (where success) as success_started_at,
        first(duration_s order by completed_at, seq) filter (where success) as success_duration_s,
        first(seq order by completed_at, seq) filter (where success) as success_seq,
        first(completed_at order by completed_at, seq) filter (where not success) as failure_at,
        first(started_at order by completed_at, seq) filter (where not success) as failure_started_at,
        first(duration_s order by completed_at, seq) filter (where not success) as failure_duration_s,
        min(started_at) filter (where completed_at is null and abandoned_at is null) as open_started_at,
        min(started_at) filter (where completed_at is null and abandoned_at is not null) as abandoned_started_at,
        count(*) filter (where success) as successes,
        count(*) filter (where not success) as failures,
        max(greatest(started_at, completed_at, abandoned_at)) as last_event_at
    from seen where expected_at is not null
    group by check_id, version, expected_at
),
tried as (
    select s.check_id, s.version, s.expected_at, count(*) as attempts
    from settled t
    join seen s using (check_id, version, expected_at)
    join windows w using (check_id, version, expected_at)
    where s.completed_at is not null and (
        t.success_at is null or s.completed_at < t.success_at
        -- an interval's window closes at one instant, whatever arrives then
        or (s.completed_at = t.success_at and (s.seq <= t.success_seq or w.closed_at is not null))
    )
    group by s.check_id, s.version, s.expected_at
)
select w.check_id, w.version, w.expected_at, w.window_start_at, w.end_at, w.deadline_at, w.gap_s, w.max_runtime_s, w.anchored,
    w.closed_at,
    s.success_at, s.success_started_at, s.success_duration_s,
    s.failure_at, s.failure_started_at, s.failure_duration_s, s.open_started_at,
    case when s.open_started_at is null then null
        when w.max_runtime_s is not null then s.open_started_at + to_microseconds((w.max_runtime_s * 1e6)::bigint)
        when w.end_at is not null then greatest(w.deadline_at, w.end_at) end as open_limit_at,
    s.abandoned_started_at, coalesce(t.attempts, 0)::integer as attempts,
    coalesce(s.failures, 0)::integer as failures, greatest(coalesce(s.successes, 0) - 1, 0)::integer as extra,
    s.last_event_at
from windows w
left join settled s using (check_id, version, expected_at)
left join tried t using (check_id, version, expected_at)
