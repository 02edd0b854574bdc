-- reads: store.fetches.  returns: the sources of queues or workers that were ever looked at, by name
select distinct source from store.fetches where kind = 'snapshot' order by source
