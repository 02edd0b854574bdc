-- reads: checks, store.checks, store.pings, store.shown, store.fetches, $as_of, $least.  units: seconds
-- returns: one row per check of a live source with two pings or more in the 30 days before $as_of: how fast its pings can
-- push one another out of what the source shows, and how often we look.
with replies as (
    -- a limit belongs to the account, so the longest reply of a source tells it; below $least no source goes
    select c.source, greatest(max(s.reply_rows), $least) as reply_rows
    from store.shown s join store.checks c using (check_id) where s.reply_rows is not null group by c.source
),
recent as (
    select p.check_id, epoch_us(p.received_at) as at_us, row_number() over (partition by p.check_id order by p.n) as place
    from store.pings p semi join checks using (check_id)
    where p.n is not null and p.received_at > $as_of - interval 30 days and p.received_at <= $as_of
),
sizes as (
    select c.check_id, c.check_name, c.source, r.reply_rows, least(r.reply_rows, m.pings) - 1 as steps
    from (select check_id, count(*) as pings from recent group by check_id) m
    join checks c using (check_id) join replies r using (source)
    where m.pings >= 2
),
spans as (
    select s.check_id, min(b.at_us - a.at_us) as least_us
    from sizes s join recent a using (check_id) join recent b on b.check_id = a.check_id and b.place = a.place + s.steps
    group by s.check_id
),
looks as (
    select source, median(gap_us) as every_us
    from (
        select source, epoch_us(tried_at) - lag(epoch_us(tried_at)) over (partition by source order by tried_at) as gap_us
        from store.fetches where kind <> 'file' and tried_at <= $as_of and tried_at > $as_of - interval 7 days
    )
    where gap_us is not null group by source
)
select check_name, source, reply_rows, steps + 1 as n, least_us * reply_rows / (steps * 1e6) as fills_s, every_us / 1e6 as every_s
from sizes join spans using (check_id) left join looks using (source)
order by fills_s, check_name
