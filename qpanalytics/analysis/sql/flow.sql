-- reads: queue_looks.  returns: looks in the window that say something of flow, by queue, then by time.  units: microseconds, seconds
-- A system that keeps its counters for all queues together has them in the row `*`; what waits there is the sum of the queues.
with shown as (
    from queue_looks
    where taken_at >= $since and taken_at < $until and taken_at <= $as_of
        and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
),
together as (
    select source, taken_at,
        case when count(*) = count(depth) then sum(depth)::bigint end as depth,
        case when count(*) = count(depth) then sum(depth_min)::bigint end as depth_min,
        case when count(*) = count(active) then sum(active)::bigint end as active,
        case when count(*) = count(active) then sum(active_mean order by queue) end as active_mean
    from shown where queue <> '*' group by source, taken_at
)
select
    s.source, s.queue, s.system, epoch_us(s.taken_at) as at_us,
    coalesce(s.depth, t.depth) as depth,
    coalesce(s.depth_min, t.depth_min) as depth_min,
    coalesce(s.depth_max, t.depth) as depth_max,
    coalesce(s.active, t.active) as active,
    coalesce(s.active_mean, t.active_mean) as active_mean,
    s.active_max, s.retrying, s.dead, s.orphaned, s.processed_gain, s.failed_gain, s.resets, s.looks, s.paused_looks,
    s.oldest_age_s, s.oldest_age_max_s,
    max(s.processed_total) over (partition by s.source) is not null as counted
from shown s left join together t on t.source = s.source and t.taken_at = s.taken_at and s.queue = '*'
order by s.source, s.queue, s.taken_at
