-- reads: pings (check_id, received_at, kind, n, run_id, duration_s, exit_status, fetch_id, row_no).
-- returns: one row per run, windows still unknown. seq is the place of the finish (else of the start) in its check.
-- A lane is a run id within a check; the empty id is the lane of pings without one. A group is what one finish ends:
-- the starts of its lane since the finish before, and itself.
with ordered as (
    select check_id, kind, coalesce(run_id, '') as lane, received_at, duration_s, exit_status,
        row_number() over (
            partition by check_id order by received_at, n nulls first, fetch_id, row_no
        ) as seq
    from pings where kind in ('start', 'success', 'fail')
),
grouped as (
    select *,
        coalesce(sum(case when kind <> 'start' then 1 else 0 end) over (
            partition by check_id, lane order by seq rows between unbounded preceding and 1 preceding
        ), 0)::bigint as grp,
        max(case when kind = 'start' then seq end) over (
            partition by check_id order by seq rows between unbounded preceding and 1 preceding
        ) as recent_start_seq
    from ordered
),
-- An id-less finish with no start in its group takes the check's most recent start, if that run is still open then.
strays as (
    select g.check_id, g.seq, g.recent_start_seq
    from grouped g
    where g.kind <> 'start' and g.lane = '' and g.recent_start_seq is not null
        and not exists (
            from grouped s where s.check_id = g.check_id and s.lane = '' and s.grp = g.grp and s.kind = 'start'
        )
),
taken as (
    select s.check_id, min(s.seq) as finish_seq, s.recent_start_seq as start_seq
    from strays s
    join grouped b on b.check_id = s.check_id and b.seq = s.recent_start_seq and b.lane <> ''
    left join grouped f
        on f.check_id = b.check_id and f.lane = b.lane and f.grp = b.grp and f.kind <> 'start'
    where f.seq is null or f.seq > s.seq
    group by s.check_id, s.recent_start_seq
),
kept as (
    select g.* from grouped g
    left join taken ts on ts.check_id = g.check_id and ts.start_seq = g.seq
    left join taken tf on tf.check_id = g.check_id and tf.finish_seq = g.seq
    where ts.start_seq is null and tf.finish_seq is null
),
spread as (
    select *,
        max(case when kind <> 'start' then seq end) over w as finish_seq,
        max(case when kind <> 'start' then received_at end) over w as finish_at,
        max(case when kind = 'start' then seq end) over w as last_start_seq,
        max(case when kind = 'start' then received_at end) over w as last_start_at,
        min(case when kind = 'start' then received_at end) over w as first_start_at
    from kept
    window w as (partition by check_id, lane, grp)
)
select check_id, nullif(lane, '') as run_id, last_start_at as started_at, received_at as completed_at,
    coalesce(duration_s, epoch_us(received_at - last_start_at) / 1e6) as duration_s,
    kind = 'success' as success, exit_status, null::timestamptz as abandoned_at,
    first_start_at as first_started_at, seq
from spread where kind <> 'start'
union all by name
select check_id, nullif(lane, '') as run_id, received_at as started_at, null::timestamptz as completed_at,
    null::double as duration_s, null::boolean as success, null::smallint as exit_status,
    finish_at as abandoned_at, received_at as first_started_at, seq
from spread where kind = 'start' and (finish_seq is null or seq < last_start_seq)
union all by name
select t.check_id, nullif(b.lane, '') as run_id, b.received_at as started_at, f.received_at as completed_at,
    coalesce(f.duration_s, epoch_us(f.received_at - b.received_at) / 1e6) as duration_s,
    f.kind = 'success' as success, f.exit_status, null::timestamptz as abandoned_at,
    b.received_at as first_started_at, t.finish_seq as seq
from taken t
join grouped b on b.check_id = t.check_id and b.seq = t.start_seq
join grouped f on f.check_id = t.check_id and f.seq = t.finish_seq
