-- reads: checks, occurrences, telling; $ids: the checks, null for all.  returns: what became of each expected run of the window, of checks whose ticks can be
-- judged.  units: seconds, microseconds
select c.check_name as name, epoch_us(o.expected_at) as expected_us, epoch_us(o.deadline_at) as deadline_us,
    epoch_us(o.completed_at) as completed_us, o.outcome, o.lateness_s, o.gap_s
from occurrences o join checks c using (check_id) join telling t using (check_id)
where not t.cannot_tell and ($ids is null or list_contains($ids, o.check_id))
order by o.expected_at, c.check_id, o.version
