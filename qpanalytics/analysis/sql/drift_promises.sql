-- reads: promises.  units: seconds since 1970
-- returns: for each check with several versions of its promise, when the later ones began, ascending
select check_id, list(epoch_us(from_at) / 1e6 order by from_at) as begun_s
from (select *, row_number() over (partition by check_id order by from_at) as nth from promises)
where nth > 1
group by check_id
order by check_id
