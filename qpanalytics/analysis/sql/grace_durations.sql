-- reads: checks, runs.  units: microseconds and seconds
-- returns: one row per check with such runs: the successful ones of the window that sent a start, by when they began, as
-- lists: when, how long from start to success. A limit counts from the start ping, so a duration that the job states is not used.
select
    check_id,
    list(epoch_us(started_at) order by started_at, completed_at) as at_us,
    list((epoch_us(completed_at) - epoch_us(started_at)) / 1e6 order by started_at, completed_at) as value_s
from runs
where result = 'success' and started_at is not null and completed_at is not null
group by check_id
order by check_id
