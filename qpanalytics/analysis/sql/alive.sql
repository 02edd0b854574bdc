-- reads: worker_looks.  returns: how many workers were alive at each look in the window, by source (queue '') and by queue that they
-- take from.  units: epoch microseconds
with shown as (
    from worker_looks
    where taken_at >= $since and taken_at < $until and taken_at <= $as_of
        and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
),
told as (
    select source, '' as queue, taken_at, state from shown
    union all
    select source, unnest(list_distinct(queues)) as queue, taken_at, state from shown where queues is not null
)
select source, queue, epoch_us(taken_at) as at_us, count(*) filter (state = 'alive') as alive, count(*) as listed
from told group by source, queue, taken_at order by source, queue, taken_at
