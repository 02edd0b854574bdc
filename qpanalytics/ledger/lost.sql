-- reads: store.pings, store.shown, store.holes, checks, $as_of, $since, $until.
-- returns: lost (source, check_id, lost): pings that the source numbered and we never got, in the window; NULL where it
-- numbers nothing. A hole is known once the ping behind it is seen, or the source's own count, and lies between its
-- neighbours.
with newest as (
    select p.check_id, max(p.n) as n, max(p.received_at) as received_at
    from store.pings p semi join checks using (check_id) semi join store.shown using (check_id)
    where p.n is not null group by p.check_id
),
holes as (
    select h.check_id, h.lost, h.before_at, h.after_at from store.holes h semi join checks using (check_id)
    union all
    -- counted by the source at a look that read its pings, and shown by no reply: deleted there in between
    select s.check_id, s.counted - greatest(coalesce(m.n, 0), coalesce(s.baseline, 0)),
        coalesce(m.received_at, s.baseline_at), s.seen_at
    from store.shown s semi join checks using (check_id)
    left join newest m using (check_id)
    where s.counted > greatest(coalesce(m.n, 0), coalesce(s.baseline, 0)) and (m.n is not null or s.baseline is not null)
)
select c.source, c.check_id,
    case when s.counted is null and m.n is null then null
        else coalesce(sum(h.lost) filter (
            where h.after_at >= $since and h.before_at < $until and h.after_at <= $as_of
        ), 0)::bigint end as lost
from checks c
left join store.shown s using (check_id)
left join newest m using (check_id)
left join holes h using (check_id)
group by c.source, c.check_id, s.counted, m.n
order by c.check_id
