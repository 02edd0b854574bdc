-- reads: queue_looks, store.fetches.  returns: one row per queue that the last good look at its source showed.
-- A queue that this look no longer shows is gone: what it once held says nothing of now.
with last as (
    select source, max(until_at) as taken_at from store.fetches
    where kind = 'snapshot' and until_at <= $as_of and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
    group by source
)
select * exclude (step_s) from queue_looks semi join last using (source, taken_at) order by source, queue
