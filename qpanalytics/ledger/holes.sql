-- reads: store.pings (n where the source numbers them), due (check_id), store.shown.  Only of live sources: a file may leave rows out.
-- returns: one row per hole in the numbers of a check: how many are missing, and the times of the neighbours. Before the
-- first ping that we saw nobody was collecting, unless the first reply was empty: then the count at that time is the
-- neighbour.
with numbered as (
    select check_id, n, received_at from store.pings semi join due using (check_id) semi join store.shown using (check_id) where n is not null
    union all
    select check_id, baseline, baseline_at from store.shown semi join due using (check_id) where baseline is not null
),
paired as (
    select check_id, n, received_at,
        lag(n) over own as n_before, lag(received_at) over own as before_at
    from numbered
    window own as (partition by check_id order by n, received_at)
)
select check_id, n - n_before - 1 as lost, least(before_at, received_at) as before_at, greatest(before_at, received_at) as after_at
from paired where n - n_before > 1
order by check_id, n
