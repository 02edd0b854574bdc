-- reads: judged (occurrences), now_runs, kinds (check_id, rolls), $tell_from, $tell_to.
-- returns: per check whether its ticks can be judged at all, and the time between its completions.
-- Cannot tell: at least 50 hits, and (p90 - p10) of lateness over the gap above 0.6. An interval rolls with its
-- completions, so the question does not arise.
with hits as (
    select check_id, lateness_s, gap_s
    from judged
    where lateness_s is not null and gap_s > 0 and expected_at >= $tell_from and expected_at < $tell_to
),
spreads as (
    select check_id, count(*) as hits,
        (quantile_cont(lateness_s, 0.9) - quantile_cont(lateness_s, 0.1)) / quantile_cont(gap_s, 0.5) as spread
    from hits group by check_id
),
-- now_runs lies in the order of checks and, in a check, of completions: each is compared with its neighbour as it lies.
neighbours as (
    select check_id, completed_at, lag(check_id) over () as check_before, lag(completed_at) over () as before_at
    from now_runs where completed_at >= $tell_from and completed_at <= $tell_to
),
gaps as (
    select check_id, case when check_before = check_id then (epoch_us(completed_at) - epoch_us(before_at)) / 1e6 end as gap_s
    from neighbours
),
between_completions as (
    select check_id, count(gap_s) as gap_n, quantile_cont(gap_s, 0.5) as gap_p50_s, quantile_cont(gap_s, 0.95) as gap_p95_s,
        max(gap_s) as gap_max_s
    from gaps where gap_s is not null group by check_id
)
select k.check_id, coalesce(s.hits, 0) as hits, s.spread,
    coalesce(s.hits >= 50 and s.spread > 0.6 and not k.rolls, false) as cannot_tell,
    coalesce(b.gap_n, 0) as gap_n, b.gap_p50_s, b.gap_p95_s, b.gap_max_s
from kinds k
left join spreads s using (check_id)
left join between_completions b using (check_id)
order by k.check_id
