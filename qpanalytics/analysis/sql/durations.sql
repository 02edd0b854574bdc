-- reads: checks, runs.  $by is check, hour or weekday (of the start, else of the completion).  units: seconds
-- returns: one row per check, or per check and part of its day or week with a run
with parted as (
    select
        check_id, result, duration_s,
        case $by
            when 'hour' then hour(timezone(coalesce(tz, 'UTC'), coalesce(started_at, completed_at)))
            when 'weekday' then isodow(timezone(coalesce(tz, 'UTC'), coalesce(started_at, completed_at)))
            else 0
        end as part
    from runs join checks using (check_id)
),
taken as (
    select
        check_id, part,
        count(*) as runs,
        count(*) filter (result = 'success') as succeeded,
        count(*) filter (result = 'fail') as failed_n,
        list(duration_s order by duration_s) filter (result = 'success' and duration_s is not null) as durations
    from parted
    group by check_id, part
)
select
    check_id, check_name, source, coalesce(tags, []) as tags, coalesce(part, 0) as part,
    coalesce(runs, 0) as runs,
    coalesce(succeeded, 0) as succeeded,
    coalesce(failed_n, 0) as failed_n,
    coalesce(durations, []) as durations
from checks left join taken using (check_id)
where $by = 'check' or taken.part is not null
order by check_name, check_id, taken.part
