-- reads: store.pings, store.shown, checks, $as_of, $since, $until.
-- returns: lost (source, check_id, lost): pings that the source numbered and we never got, in the window; NULL where it
-- numbers nothing. A hole in the numbers is known once the ping behind it is seen, or the source's own count, and lies
-- between its neighbours; before the first ping that we saw nobody was collecting.
with numbered as (
    select p.check_id, p.n, p.received_at,
        lag(p.n) over own as n_before, lag(p.received_at) over own as before_at
    from store.pings p semi join checks using (check_id)
    where p.n is not null and p.received_at <= $as_of
    window own as (partition by p.check_id order by p.n, p.received_at)
),
holes as (
    select check_id, n - n_before - 1 as lost, before_at, received_at as after_at
    from numbered where n - n_before > 1
    union all
    -- counted by the source at a look that read its pings, and shown by no reply: deleted there in between
    select s.check_id, s.counted - m.n, m.received_at, s.seen_at
    from store.shown s
    join (select check_id, max(n) as n, max(received_at) as received_at from numbered group by check_id) m using (check_id)
    where s.counted > m.n and s.seen_at <= $as_of
)
select c.source, c.check_id,
    case when s.counted is null and not exists (from numbered n where n.check_id = c.check_id) then null
        else coalesce(sum(h.lost) filter (where h.after_at >= $since and h.before_at < $until), 0)::bigint end as lost
from checks c
left join store.shown s using (check_id)
left join holes h using (check_id)
group by c.source, c.check_id, s.counted
order by c.check_id
