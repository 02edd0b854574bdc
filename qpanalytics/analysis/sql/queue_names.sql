-- reads: queue_looks.  returns: the queues that were seen in the window
select distinct queue from queue_looks
where taken_at >= $since and taken_at < $until and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
    and queue <> '*'
order by queue
