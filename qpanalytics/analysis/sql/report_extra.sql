-- reads: checks, telling, occurrences, runs.  returns: per check what the table of a digest needs beside the figures.
select c.check_id, c.check_name as "check", c.source, c.schedule, c.tz, c.grace_s, c.status, c.tags, t.cannot_tell,
    t.gap_n, t.gap_p50_s, t.gap_p95_s, t.gap_max_s,
    (select count(*) from occurrences o where o.check_id = c.check_id and o.outcome = 'pending') as pending,
    (select count(*) from runs r where r.check_id = c.check_id and r.completed_at is not null) as runs,
    (select count(*) from runs r where r.check_id = c.check_id and r.result = 'fail') as failures
from checks c join telling t using (check_id) order by c.check_name
