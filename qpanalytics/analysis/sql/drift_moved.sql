-- reads: checks, judged, now_runs; [$from_at, $to_at), of which the last part begins at $since.  units: seconds
-- returns: one row per check with its medians before and in the last part: lateness, durations; NULL where there is none.
-- Where neither differs, no change can be in force that anybody has to hear of now.
with late as (
    select check_id,
        quantile_cont(lateness_s, 0.5) filter (where expected_at < $since) as late_then_s,
        quantile_cont(lateness_s, 0.5) filter (where expected_at >= $since) as late_now_s
    from judged
    where vouched and outcome in ('on_time', 'late') and expected_at >= $from_at and expected_at < $to_at
    group by check_id
),
ran as (
    select check_id,
        quantile_cont(duration_s, 0.5) filter (where completed_at < $since) as ran_then_s,
        quantile_cont(duration_s, 0.5) filter (where completed_at >= $since) as ran_now_s
    from now_runs
    where success and duration_s is not null and completed_at >= $from_at and completed_at < $to_at
    group by check_id
)
select c.check_id, coalesce(c.grace_s, 0) as grace_s, late_then_s, late_now_s, ran_then_s, ran_now_s
from checks c left join late using (check_id) left join ran using (check_id)
order by c.check_id
