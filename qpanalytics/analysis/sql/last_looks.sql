-- reads: store.fetches.  returns: when each source of queues or workers was last seen well, up to $as_of.  units: epoch microseconds
select source, epoch_us(max(until_at)) as taken_us from store.fetches
where kind = 'snapshot' and until_at <= $as_of and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
group by source order by source
