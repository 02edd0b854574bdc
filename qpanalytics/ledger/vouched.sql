-- reads: store.fetches, store.fetch_checks, store.watched, store.holes, begins (check_id, first_at: first stated valid_from, else first ping).
-- returns: vouched (check_id, since_at, until_at): merged, disjoint, up to $as_of.
-- A check's earliest file vouches from where the check begins; later ones from their own first ping. Other looks vouch
-- for the spans that they proved. Between the neighbours of a hole in the numbers nothing is vouched for.
with mine as (
    select distinct b.check_id, b.first_at, f.feed
    from begins b
    join store.fetch_checks c using (check_id)
    join store.fetches f using (fetch_id)
),
looked as (
    select m.check_id, m.first_at, f.kind, f.since_at, least(f.until_at, $as_of) as until_at,
        row_number() over (partition by m.check_id order by f.since_at nulls first, f.fetch_id) as place
    from mine m join store.fetches f using (feed)
    where f.until_at is not null and (m.first_at is not null or f.kind <> 'file')
),
spans as (
    select check_id, case when kind <> 'file' then since_at when place = 1 then first_at
        else greatest(since_at, first_at) end as since_at, until_at
    from looked
    union all
    select check_id, since_at, least(until_at, $as_of) from store.watched semi join begins using (check_id)
),
marked as (
    select *, max(until_at) over (
        partition by check_id order by since_at, until_at rows between unbounded preceding and 1 preceding
    ) as reached_at
    from spans where since_at <= until_at
),
numbered as (
    select *, count(*) filter (where reached_at is null or since_at > reached_at) over (
        partition by check_id order by since_at, until_at rows between unbounded preceding and current row
    ) as island
    from marked
),
islands as (
    select check_id, min(since_at) as since_at, max(until_at) as until_at from numbered group by check_id, island
),
starts as (
    select check_id, since_at, until_at from islands
    union all
    select i.check_id, h.after_at, i.until_at
    from islands i join store.holes h on h.check_id = i.check_id and h.after_at > i.since_at and h.after_at <= i.until_at
)
select distinct s.check_id, s.since_at, least(s.until_at, h.before_at) as until_at
from starts s
asof left join store.holes h on h.check_id = s.check_id and s.since_at <= h.before_at
where not exists (
    from store.holes x where x.check_id = s.check_id and x.before_at < s.since_at and s.since_at < x.after_at
)
order by s.check_id, s.since_at
