-- reads: checks, occurrences, downs, telling.  $by is check, hour or weekday.  units: microseconds
-- returns: one row per check, or per check and hour (0 to 23) or weekday (1 is Monday), in its own zone, in which a run
-- was expected
with counted as (
    select
        check_id,
        case $by
            when 'hour' then hour(timezone(coalesce(tz, 'UTC'), expected_at))
            when 'weekday' then isodow(timezone(coalesce(tz, 'UTC'), expected_at))
            else 0
        end as part,
        count(*) as expected,
        count(*) filter (vouched and outcome = 'on_time') as on_time,
        count(*) filter (vouched and outcome = 'late') as late,
        count(*) filter (vouched and outcome = 'missed') as missed,
        count(*) filter (vouched and outcome = 'failed') as failed,
        count(*) filter (vouched and outcome = 'hung') as hung,
        count(*) filter (not vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')) as unvouched,
        count(*) filter (outcome = 'excused') as excused,
        count(*) filter (outcome = 'unknown') as unknowns,
        count(*) filter (outcome = 'pending') as pending
    from occurrences join checks using (check_id)
    group by check_id, part
),
clipped as (
    select
        check_id,
        greatest(epoch_us(since_at), epoch_us($since)) as since_us,
        least(epoch_us(coalesce(until_at, $as_of)), epoch_us($until), epoch_us($as_of)) as until_us
    from downs
    where since_at < $until and since_at <= $as_of and (until_at is null or until_at > $since)
),
-- one stretch that is down for two reasons in turn, or for both at once, is down once and only so long
reached as (
    select
        *,
        max(until_us) over (
            partition by check_id order by since_us, until_us rows between unbounded preceding and 1 preceding
        ) as reached_us
    from clipped
),
down as (
    select
        check_id,
        count(*) filter (reached_us is null or since_us > reached_us) as downs,
        sum(greatest(until_us - greatest(since_us, coalesce(reached_us, since_us)), 0))::bigint as down_us
    from reached
    group by check_id
)
select
    check_id, check_name, source, coalesce(tags, []) as tags, schedule, coalesce(part, 0) as part,
    coalesce(cannot_tell, false) as cannot_tell, spread,
    coalesce(expected, 0) as expected,
    coalesce(on_time, 0) as on_time,
    coalesce(late, 0) as late,
    coalesce(missed, 0) as missed,
    coalesce(failed, 0) as failed,
    coalesce(hung, 0) as hung,
    coalesce(unvouched, 0) as unvouched,
    coalesce(excused, 0) as excused,
    coalesce(unknowns, 0) as unknown,
    coalesce(pending, 0) as pending,
    coalesce(downs, 0) as downs,
    coalesce(down_us, 0) as down_us,
    coalesce(gap_n, 0) as gap_n, gap_p50_s, gap_p95_s, gap_max_s
from checks
    left join counted using (check_id)
    left join down using (check_id)
    left join telling using (check_id)
where $by = 'check' or counted.part is not null
order by check_name, check_id, counted.part
