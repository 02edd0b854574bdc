-- reads: kinds (check_id, begun, paused), seen_pings, now_runs, downs_ever, recent, vouched, upcoming, $as_of.
-- returns: how each check stands at $as_of: status, since_at (of a check that is down), next_expected_at, deadline_at.
with activity as (
    select check_id, count(*) > 0 as acted, max(completed_at) filter (where success) as success_at,
        -- One past its limit is hung: it makes the check down until a success, and is given up after it.
        count(*) filter (where started_at is not null and completed_at is null and abandoned_at is null
            and coalesce(limit_at > $as_of, true)) > 0 as started
    from now_runs group by check_id
),
due as (
    select j.check_id, min(j.expected_at) as expected_at, arg_min(j.deadline_at, (j.expected_at, j.deadline_at)) as deadline_at
    from recent j left join activity a using (check_id)
    where j.expected_at <= $as_of and $as_of < j.deadline_at and not j.excused
        and (a.success_at is null or a.success_at < j.window_start_at
            or (j.anchored and a.success_at = j.window_start_at))
    group by j.check_id
),
down as (
    select check_id, min(since_at) as since_at, arg_min(cause, (since_at, cause)) as cause
    from downs_ever where until_at is null group by check_id
),
measured as (
    select check_id, max(completed_at) as completed_at from now_runs where duration_s is not null group by check_id
),
lasted as (
    select check_id, arg_max(duration_s, seq) as duration_s
    from now_runs semi join measured using (check_id, completed_at) where duration_s is not null group by check_id
),
reached as (
    select check_id, max(until_at) >= $as_of as now from vouched group by check_id
)
select k.check_id,
    case
        when k.paused then 'paused'
        when p.first_ping_at is null and r.check_id is null then 'new'
        when not coalesce(r.now, false) then 'unknown'
        when not coalesce(a.acted, false) then 'new'
        when d.check_id is not null then 'down'
        when u.check_id is not null then 'grace'
        when a.started then 'started'
        else 'up'
    end as status,
    d.since_at as down_since_at, d.cause as down_cause,
    case when k.paused then null else coalesce(u.expected_at, n.expected_at) end as next_expected_at,
    case when k.paused then null when u.check_id is not null then u.deadline_at else n.deadline_at end as deadline_at,
    p.first_ping_at, p.last_ping_at, l.duration_s as last_duration_s
from kinds k
left join seen_pings p using (check_id)
left join activity a using (check_id)
left join due u using (check_id)
left join down d using (check_id)
left join reached r using (check_id)
left join upcoming n using (check_id)
left join lasted l using (check_id)
order by k.check_id
