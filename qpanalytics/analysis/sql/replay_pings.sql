-- reads: checks, store.pings, $lead, $until, $as_of; $ids: the checks, null for all.
-- returns: the pings of [lead, until) and, of each check, those from its last completion before on: what was under way.
with before as (
    select p.check_id, max(p.received_at) as last_at
    from store.pings p semi join checks using (check_id)
    where p.received_at < $lead and ($ids is null or list_contains($ids, p.check_id)) and p.kind in ('success', 'fail') group by p.check_id
)
select c.check_name as name, epoch_us(p.received_at) as at_us, p.kind, p.run_id, p.duration_s, p.host, p.exit_status
from store.pings p join checks c using (check_id) left join before b using (check_id)
where p.received_at >= coalesce(b.last_at, '-infinity'::timestamptz) and p.received_at < $until and p.received_at <= $as_of
    and ($ids is null or list_contains($ids, p.check_id))
order by p.received_at, c.check_id, p.n nulls first, p.fetch_id, p.row_no
