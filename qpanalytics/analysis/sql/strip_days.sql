-- reads: checks, telling, occurrences, runs.  $tz: the reader's zone.
-- returns: one row per check and local day: the worst outcome of the day; `ran` where ticks cannot tell or none is
-- promised and something ran. A day on which nothing was expected or ran has no row.
with judged as (
    select c.check_id, c.schedule is not null and not t.cannot_tell as told
    from checks c join telling t using (check_id)
),
ticks as (
    select o.check_id, timezone($tz, o.expected_at)::date as day,
        case o.outcome when 'failed' then 8 when 'missed' then 7 when 'hung' then 6 when 'late' then 5
            when 'unknown' then 3 when 'excused' then 2 when 'pending' then 1 else 4 end as rank
    from occurrences o join judged j using (check_id)
    -- pending says nothing of a day that has not come
    where j.told and (o.outcome <> 'pending' or o.expected_at <= $as_of)
),
ran as (
    select r.check_id, timezone($tz, coalesce(r.completed_at, r.started_at))::date as day,
        case when r.result = 'fail' then 8 else 0 end as rank
    from runs r join judged j using (check_id) where not j.told
)
select check_id, day, max(rank) as worst from (from ticks union all from ran) group by check_id, day order by check_id, day
