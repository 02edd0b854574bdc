-- reads: worker_looks.  returns: how long the longest job of each worker had run at each look in the window that knew.  units: seconds
select source, worker, queues, epoch_us(taken_at) as at_us, oldest_running_max_s as running_s
from worker_looks
where taken_at >= $since and taken_at < $until and taken_at <= $as_of and oldest_running_max_s is not null
    and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
order by source, worker, taken_at
