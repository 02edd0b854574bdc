-- reads: checks, runs.  returns: one row per run of the window.
select c.check_name as "check", r.run_id, r.started_at, r.completed_at, r.duration_s, r.result, r.exit_status, r.overran,
    r.expected_at
from runs r join checks c using (check_id)
order by c.check_name, coalesce(r.completed_at, r.started_at), r.seq
