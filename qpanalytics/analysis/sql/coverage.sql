-- reads: checks, vouched, lost.  returns: one row per check.  units: microseconds.
-- The window of a check is [$since, $until) up to $as_of, from where the check began; where nothing is left of it,
-- since_at is null and `absent` says why.
with windows as (
    select
        check_id, check_name, source,
        greatest(epoch_us($since), epoch_us(coalesce(first_valid_from, first_ping_at, $since))) as since_us,
        least(epoch_us($until), epoch_us($as_of)) as until_us
    from checks
),
seen as (
    select
        check_id,
        sum(
            greatest(least(epoch_us(until_at), until_us) - greatest(epoch_us(since_at), since_us), 0)
        )::bigint as vouched_us
    from vouched join windows using (check_id)
    group by check_id
),
missing as (
    select check_id, sum(lost)::bigint as lost from lost group by check_id
)
select
    check_id, check_name, source,
    case when until_us > since_us then make_timestamptz(since_us) end as since_at,
    case when until_us > since_us then make_timestamptz(until_us) end as until_at,
    greatest(until_us - since_us, 0) as window_us,
    case
        when until_us > since_us then ''
        when $as_of <= $since then 'the window begins after as_of'
        else 'the check began after this window'
    end as absent,
    coalesce(vouched_us, 0) as vouched_us,
    lost
from windows left join seen using (check_id) left join missing using (check_id)
order by check_name, check_id
