-- reads: downs, checks.  $id: a check.  units: microseconds.
-- returns: one row per stretch of down time that reaches into [$since, $until), as far as $as_of knows, oldest first:
-- since when, until when (NULL: still), why, and from_us, to_us: the part of it that lies in the window.
select
    epoch_us(since_at) as since_us, epoch_us(until_at) as until_us, cause,
    epoch_us(greatest(since_at, $since)) as from_us,
    epoch_us(least(coalesce(until_at, $as_of), $as_of, $until)) as to_us
from downs
where check_id = $id and since_at < $until and since_at <= $as_of and (until_at is null or until_at > $since)
order by since_us, until_us, cause
