-- reads: checks, occurrences, store.pauses.  returns: one row per expected run of the window.
with paused as (
    select o.check_id, o.version, o.expected_at, min_by(p.why, (p.since_at, p.why)) as why
    from occurrences o join store.pauses p
        on p.check_id = o.check_id and p.since_at <= o.deadline_at and coalesce(p.until_at > o.expected_at, true)
    where o.outcome = 'excused'
    group by all
)
select c.check_name as "check", o.expected_at, o.deadline_at, o.started_at, o.completed_at, o.outcome, o.lateness_s,
    o.start_delay_s, o.duration_s, o.attempts, o.failures, o.extra, o.vouched,
    case o.outcome when 'excused' then coalesce(p.why, 'maintenance') when 'unknown' then 'nobody was looking' else '' end as why
from occurrences o join checks c using (check_id) left join paused p using (check_id, version, expected_at)
order by c.check_name, o.expected_at, o.window_start_at
