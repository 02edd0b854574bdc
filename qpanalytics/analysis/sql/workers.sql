-- reads: worker_looks, store.fetches.  returns: one row per worker that the last good look at its source showed.
with last as (
    select source, max(until_at) as taken_at from store.fetches
    where kind = 'snapshot' and until_at <= $as_of and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
    group by source
)
select * exclude (step_s) from worker_looks semi join last using (source, taken_at) order by source, worker
