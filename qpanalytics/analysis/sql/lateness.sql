-- reads: checks, occurrences.  $by is check, hour or weekday.  units: seconds
-- returns: one row per check (and hour or weekday, in its own zone) with a counted run; infinity is a run that never
-- came
select
    check_id,
    case $by
        when 'hour' then hour(timezone(coalesce(tz, 'UTC'), expected_at))
        when 'weekday' then isodow(timezone(coalesce(tz, 'UTC'), expected_at))
        else 0
    end as part,
    list(arrival order by arrival) as arrivals
from (
    select
        *,
        case when outcome in ('on_time', 'late') then lateness_s else 'infinity'::double end as arrival
    from occurrences
    where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
)
join checks using (check_id)
group by check_id, part
order by check_id, part
