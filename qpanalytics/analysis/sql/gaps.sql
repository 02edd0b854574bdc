-- reads: checks, vouched.  returns: one row per stretch of a check's window that is not vouched, with where it lies.
with windows as (
    select
        check_id, check_name, source,
        greatest(epoch_us($since), epoch_us(coalesce(first_valid_from, first_ping_at, $since))) as since_us,
        least(epoch_us($until), epoch_us($as_of)) as until_us
    from checks
),
spans as (
    select check_id, epoch_us(since_at) as from_us, epoch_us(until_at) as to_us from vouched
),
reach as (
    select check_id, min(from_us) as first_us, max(to_us) as last_us from spans group by check_id
),
-- the ends of the window are spans of no length, so that a gap is always what lies between two spans
edges as (
    select check_id, from_us, to_us from spans
    union all
    select check_id, since_us, since_us from windows
    union all
    select check_id, until_us, until_us from windows
),
between_spans as (
    select
        check_id,
        max(to_us) over (
            partition by check_id order by from_us, to_us rows between unbounded preceding and 1 preceding
        ) as gap_since_us,
        from_us as gap_until_us
    from edges
),
clipped as (
    select
        windows.*, first_us, last_us,
        greatest(gap_since_us, since_us) as gap_since_us,
        least(gap_until_us, until_us) as gap_until_us
    from between_spans join windows using (check_id) left join reach using (check_id)
)
select
    check_id, check_name, source,
    make_timestamptz(gap_since_us) as since_at,
    make_timestamptz(gap_until_us) as until_at,
    case
        when first_us is null then 'no data of this check'
        when gap_until_us <= first_us then 'before its first data'
        when gap_since_us >= last_us then 'after its last data'
        else 'between two files or fetches'
    end as why
from clipped
where gap_until_us > gap_since_us
order by check_name, check_id, gap_since_us
