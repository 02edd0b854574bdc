-- reads: checks, telling, now_runs, $since.
-- returns: of checks whose ticks cannot be judged, the longest time between completions in the 90 days before the window.
with gaps as (
    select r.check_id, epoch_us(r.completed_at)
        - lag(epoch_us(r.completed_at)) over (partition by r.check_id order by r.completed_at) as gap_us
    from now_runs r join telling t using (check_id)
    where t.cannot_tell and r.completed_at >= $since - interval 90 day and r.completed_at < $since
)
select c.check_name as name, count(g.gap_us) as n, max(g.gap_us) as gap_us
from telling t join checks c using (check_id) left join gaps g using (check_id)
where t.cannot_tell group by c.check_name order by c.check_name
