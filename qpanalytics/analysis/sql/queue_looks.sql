-- reads: queue_looks.  returns: one row per queue and look in the window.  units: seconds
select * exclude (step_s)
from queue_looks
where taken_at >= $since and taken_at < $until and taken_at <= $as_of and ($sources::varchar[] is null or list_contains($sources::varchar[], source))
order by source, queue, taken_at
