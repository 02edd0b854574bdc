-- reads: checks, store.pings.  returns: one row per ping of the window.
select c.check_name as "check", c.key, c.source, p.received_at, p.kind, p.n, p.run_id, p.duration_s, p.exit_status, p.host
from store.pings p join checks c using (check_id)
where p.received_at >= $since and p.received_at < $until and p.received_at <= $as_of
order by c.check_name, p.received_at, p.n nulls first, p.fetch_id, p.row_no
