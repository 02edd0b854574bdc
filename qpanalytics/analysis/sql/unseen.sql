-- reads: checks, vouched, occurrences.  units: microseconds.  returns: one row per stretch that nobody observed and that
-- reaches into a check's window, at its full length: since_us NULL if nothing was ever seen, until_us NULL if it lasts.
-- `runs` are the expected runs of the window that cannot be counted for it.
with windows as (
    select
        check_id,
        greatest(epoch_us($since), epoch_us(coalesce(first_valid_from, first_ping_at, $since))) as from_us,
        least(epoch_us($until), epoch_us($as_of)) as to_us
    from checks
),
spans as (
    select check_id, epoch_us(since_at) as since_us, epoch_us(until_at) as until_us from vouched
),
holes as (
    select
        check_id, until_us as since_us,
        lead(since_us) over (partition by check_id order by since_us) as until_us
    from spans
    union all
    select check_id, null, min(since_us) from checks left join spans using (check_id) group by check_id
),
inside as (
    select
        h.check_id, h.since_us, h.until_us,
        greatest(coalesce(h.since_us, w.from_us), w.from_us) as from_us,
        least(coalesce(h.until_us, w.to_us), w.to_us) as to_us
    from holes h join windows w using (check_id)
)
select
    i.check_id, i.since_us, i.until_us, i.from_us, i.to_us, count(o.expected_at) as runs
from inside i
    left join occurrences o on o.check_id = i.check_id and o.outcome in ('unknown', 'on_time', 'late', 'failed', 'hung')
        and not o.vouched and epoch_us(o.deadline_at) > i.from_us and epoch_us(o.expected_at) < i.to_us
where i.to_us > i.from_us
group by all
order by i.check_id, i.from_us
