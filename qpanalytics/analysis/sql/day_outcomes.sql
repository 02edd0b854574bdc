-- reads: checks, telling, judged, now_runs.  $tz: the reader's zone; [$from_at, $to_at): the days.
-- returns: one row per check, local day and what became of its runs, with their number; `ran` and `failed` where ticks
-- cannot tell or nothing is promised. The worst of a day is the cell that strip_days gives it.
with told as (
    select check_id, schedule is not null and not coalesce(cannot_tell, false) as by_promise
    from checks left join telling using (check_id)
),
marks as (
    select check_id, expected_at as mark_at, outcome
    from judged join told using (check_id)
    -- a run that is not due yet says nothing of its day
    where (by_promise or outcome = 'unknown') and (outcome <> 'pending' or expected_at <= $as_of)
    union all
    select check_id, completed_at, case when success then 'ran' else 'failed' end
    from now_runs semi join (from told where not by_promise) using (check_id)
    where completed_at is not null
)
select check_id, timezone($tz, mark_at)::date as day, outcome, count(*) as n
from marks
where mark_at >= $from_at and mark_at < $to_at
group by check_id, day, outcome
order by check_id, day, outcome
