-- reads: judged, now_runs.  units: seconds.  returns: one row per check with a run in [$from_at, $to_at): what lateness
-- and durations are made of, ascending; infinity is a run that never came.
with arrived as (
    select
        check_id,
        list(arrival order by arrival) as arrivals
    from (
        select check_id, case when outcome in ('on_time', 'late') then lateness_s else 'infinity'::double end as arrival
        from judged
        where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
            and expected_at >= $from_at and expected_at < $to_at
    )
    group by check_id
),
ran as (
    select check_id, list(duration_s order by duration_s) as durations
    from now_runs
    where success and duration_s is not null and completed_at >= $from_at and completed_at < $to_at
    group by check_id
)
select
    check_id, coalesce(arrivals, []) as arrivals, coalesce(durations, []) as durations
from arrived full join ran using (check_id)
order by check_id
