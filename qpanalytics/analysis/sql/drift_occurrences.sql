-- reads: checks, judged; $ids: the checks, null for all; [$from_at, $to_at).  units: seconds
-- returns: one row per expected run of that time that counts, by check and time; lateness and start delay are null where
-- no success came, `bad` is true there
select
    check_id, epoch_us(expected_at) / 1e6 as at_s,
    case when outcome in ('on_time', 'late') then lateness_s end as lateness_s,
    case when outcome in ('on_time', 'late') then start_delay_s end as start_delay_s,
    outcome not in ('on_time', 'late') as bad,
    isodow(timezone(coalesce(tz, 'UTC'), expected_at)) as weekday,
    hour(timezone(coalesce(tz, 'UTC'), expected_at)) as hour
from judged join checks using (check_id)
where vouched and outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
    and expected_at >= $from_at and expected_at < $to_at and ($ids is null or list_contains($ids, check_id))
order by check_id, expected_at, window_start_at
