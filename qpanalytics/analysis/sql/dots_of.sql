-- reads: checks, runs, occurrences.  $name: one check.  returns: completion, duration and lateness of each good run.
select epoch_us(r.completed_at) as us, r.duration_s, epoch_us(r.completed_at - r.expected_at) / 1e6 as lateness_s
from runs r join checks c using (check_id)
where c.check_name = $name and r.result = 'success' order by r.completed_at, r.seq
