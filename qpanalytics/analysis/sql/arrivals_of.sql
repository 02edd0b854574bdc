-- reads: checks, occurrences.  $name: one check.  returns: lateness of each run that came, NULL where none came.
select o.lateness_s from occurrences o join checks c using (check_id)
where c.check_name = $name and o.vouched and o.outcome in ('on_time', 'late', 'missed', 'failed', 'hung')
order by o.lateness_s, o.expected_at
