-- reads: facts (one row per window, as seen at $as_of), vouched, pardoned (windows that a pause or maintenance reaches into), $as_of.
-- returns: occurrences with their outcome: the first of these that holds, never stored, since time alone changes it.
with judged as (
    -- spans of one check are disjoint, so a window lies within one of them at most
    select f.*, v.check_id is not null as vouched, p.check_id is not null as excused
    from facts f
    left join vouched v on v.check_id = f.check_id and v.since_at <= f.window_start_at and f.deadline_at <= v.until_at
    left join pardoned p on p.check_id = f.check_id and p.version = f.version and p.expected_at = f.expected_at
)
select check_id, version, expected_at, window_start_at, end_at, deadline_at,
    case when success_at is not null then success_started_at when failure_at is not null then failure_started_at
        else coalesce(open_started_at, abandoned_started_at) end as started_at,
    coalesce(success_at, failure_at) as completed_at,
    case
        when success_at <= deadline_at then 'on_time'
        when success_at is not null then 'late'
        when excused then 'excused'
        when failure_at is not null then 'failed'
        when open_started_at is not null and open_limit_at <= $as_of then 'hung'
        when open_started_at is not null then 'pending'
        when $as_of < deadline_at then 'pending'
        when not vouched then 'unknown'
        else 'missed'
    end as outcome,
    -- differences of whole microseconds: those of timestamps are intervals, at many times the cost
    (epoch_us(success_at) - epoch_us(expected_at)) / 1e6 as lateness_s,
    (epoch_us(case when success_at is not null then success_started_at when failure_at is not null
        then failure_started_at else coalesce(open_started_at, abandoned_started_at) end) - epoch_us(expected_at)) / 1e6
        as start_delay_s,
    case when success_at is not null then success_duration_s else failure_duration_s end as duration_s,
    attempts, failures, extra, vouched, excused, anchored, gap_s
from judged
