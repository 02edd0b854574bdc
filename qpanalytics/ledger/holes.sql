-- reads: store.pings (n where the source numbers them), due (check_id, cut_at), store.shown. Only of live sources: a file may
-- leave rows out.
-- returns: one row per hole in the numbers of a check: how many are missing, and the times of the neighbours. Before the
-- first ping that we saw nobody was collecting, unless the first reply was empty: then the count at that time is the
-- neighbour. Where numbers rise across the cut, only holes behind it are looked for, from the last number before it on.
with live as (
    select d.check_id, d.cut_at from due d semi join store.shown using (check_id)
),
numbered as (
    select p.check_id, p.n, p.received_at, l.cut_at from store.pings p join live l using (check_id) where p.n is not null
),
reached as (
    select check_id, max(n) filter (where received_at < cut_at) as n, min(n) filter (where received_at >= cut_at) as next_n
    from numbered where cut_at is not null group by check_id
),
floors as (
    select check_id, n as floor_n from reached where n < next_n
),
shown as (
    select check_id, n, received_at from numbered
    union all
    select check_id, baseline, baseline_at from store.shown semi join live using (check_id) where baseline is not null
),
paired as (
    select s.check_id, s.n, s.received_at, lag(s.n) over own as n_before, lag(s.received_at) over own as before_at
    from shown s left join floors f using (check_id)
    where f.floor_n is null or s.n >= f.floor_n
    window own as (partition by s.check_id order by s.n, s.received_at)
)
select check_id, n - n_before - 1 as lost, least(before_at, received_at) as before_at, greatest(before_at, received_at) as after_at
from paired where n - n_before > 1
order by check_id, n
