-- reads: asked (check_id), recent (occurrences), nearer (success_at: the last before the window), now_runs, telling, vouched, watched_spans
-- (check_id, since_at, until_at), $as_of.  returns: when each check was down that reached into the window or lasts, from what:
-- since_at, until_at (NULL: still), cause, as far as it was seen.
-- A check is down from the first of these after a success until the next success: a failure, an open run passing its
-- limit, a deadline with no success in [window start, deadline]. A pause or the end of a promise ends it unresolved.
with near_runs as (
    -- what came before that success ended with it at the latest
    select r.* from now_runs r join nearer n using (check_id) semi join asked using (check_id)
    where r.completed_at >= n.success_at or r.own_limit_at >= n.success_at
),
successes as (
    select check_id, completed_at as success_at from near_runs where success
),
unkept as (
    select j.check_id, j.deadline_at as event_at, j.window_start_at, j.anchored, s.success_at
    from recent j semi join asked using (check_id)
    join nearer n on n.check_id = j.check_id and j.deadline_at >= n.success_at
    asof left join successes s on s.check_id = j.check_id and j.deadline_at >= s.success_at
    -- a success in time needs no looking for
    where j.deadline_at <= $as_of and not j.excused and j.vouched and j.outcome <> 'on_time'
),
events as (
    select check_id, event_at, 'missed' as cause, 2 as rank from unkept
    where (success_at is null or success_at < window_start_at or (anchored and success_at = window_start_at))
        and check_id not in (select t.check_id from telling t where t.cannot_tell)
    union all
    select check_id, completed_at, 'failed', 0 from near_runs r where completed_at is not null and not success
        and not exists (
            from near_runs s where s.check_id = r.check_id and s.success
                and s.completed_at = r.completed_at and s.seq > r.seq
        )
    union all
    select check_id, own_limit_at, 'hung', 1 from near_runs
    where own_limit_at <= $as_of and (completed_at is null or completed_at > own_limit_at)
        and (abandoned_at is null or abandoned_at > own_limit_at)
        -- a success at that very instant ends it before it begins
        and not exists (
            from successes s where s.check_id = near_runs.check_id and s.success_at = near_runs.own_limit_at
        )
    union all
    -- Where ticks cannot be judged, silence longer than any before it is the only sign.
    select t.check_id, max(r.completed_at) + to_microseconds((t.gap_max_s * 1e6)::bigint), 'missed', 2
    from telling t semi join asked using (check_id)
    join now_runs r on r.check_id = t.check_id and r.completed_at is not null
    where t.cannot_tell group by t.check_id, t.gap_max_s
    having max(r.completed_at) + to_microseconds((t.gap_max_s * 1e6)::bigint) <= $as_of
),
placed as (
    select e.*, p.since_at as promise_at, p.until_at as promise_end_at
    from events e
    asof join watched_spans p on p.check_id = e.check_id and e.event_at >= p.since_at
    where p.until_at is null or e.event_at < p.until_at
),
ended as (
    select p.*, n.success_at as next_at
    from placed p
    asof left join successes n on n.check_id = p.check_id and p.event_at < n.success_at
),
begun as (
    -- a check that never started nor completed is new, not down
    select check_id, min(coalesce(started_at, completed_at)) as begun_at
    from now_runs semi join asked using (check_id) group by check_id
),
firsts as (
    select check_id, greatest(min(event_at), begun_at) as since_at, first(cause order by event_at, rank) as cause,
        least(next_at, case when promise_end_at <= $as_of then promise_end_at end) as until_at
    from ended join begun using (check_id)
    group by check_id, begun_at, next_at, promise_at, promise_end_at
),
-- what was not watched is not called down: each piece lies within one vouched span
pieces as (
    select f.check_id, greatest(f.since_at, v.since_at) as since_at,
        least(f.until_at, case when v.until_at < $as_of then v.until_at end) as until_at, f.cause
    from firsts f join vouched v on v.check_id = f.check_id and v.until_at >= f.since_at
        and (f.until_at is null or v.since_at < f.until_at)
)
select check_id, since_at, until_at, cause from pieces
where until_at is null or until_at > since_at
order by check_id, since_at
