-- reads: checks, runs, vouched, excuses.  units: microseconds and seconds
-- returns: one row per check with two completions: the times between one completion and the next, by their beginning, as
-- lists: when it began, how long. A time that was not watched from end to end, or that a pause or maintenance reaches into, is
-- left out.
with completions as (
    select
        check_id, seq, completed_at as until_at,
        lag(completed_at) over (partition by check_id order by completed_at, seq) as since_at
    from runs where completed_at is not null
),
waited as (
    select c.*, (epoch_us(until_at) - epoch_us(since_at)) / 1e6 as value_s
    from completions c
    where since_at is not null
        and exists (from vouched v where v.check_id = c.check_id and v.since_at <= c.since_at and c.until_at <= v.until_at)
        and not exists (
            from excuses e where e.check_id = c.check_id and e.since_at < c.until_at and coalesce(e.until_at > c.since_at, true)
        )
)
select
    check_id,
    list(epoch_us(since_at) order by since_at, seq) as at_us,
    list(value_s order by since_at, seq) as value_s
from waited
group by check_id
order by check_id
