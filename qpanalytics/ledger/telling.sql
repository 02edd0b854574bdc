-- reads: facts, now_runs, kinds (check_id, rolls), asked (check_id), $tell_from, $tell_to.
-- returns: per check whether its ticks can be judged at all, and the time between its completions.
-- Cannot tell: at least 50 hits, and (p90 - p10) of lateness over the gap above 0.6. An interval rolls with its
-- completions, so the question does not arise.
with hits as (
    select check_id, (epoch_us(success_at) - epoch_us(expected_at)) / 1e6 as lateness_s, gap_s
    from facts semi join asked using (check_id)
    where success_at is not null and gap_s > 0 and expected_at >= $tell_from and expected_at < $tell_to
),
spreads as (
    select check_id, count(*) as hits, quantile_cont(lateness_s, [0.1, 0.9]) as tenths, quantile_cont(gap_s, 0.5) as gap_s
    from hits group by check_id
),
gaps as (
    select check_id,
        (epoch_us(completed_at) - lag(epoch_us(completed_at)) over (partition by check_id order by completed_at)) / 1e6 as gap_s
    from now_runs semi join asked using (check_id) where completed_at >= $tell_from and completed_at <= $tell_to
),
between_completions as (
    select check_id, count(gap_s) as gap_n, quantile_cont(gap_s, [0.5, 0.95]) as gap_q, max(gap_s) as gap_max_s
    from gaps where gap_s is not null group by check_id
)
select k.check_id, coalesce(s.hits, 0) as hits, (s.tenths[2] - s.tenths[1]) / s.gap_s as spread,
    coalesce(s.hits >= 50 and (s.tenths[2] - s.tenths[1]) / s.gap_s > 0.6 and not k.rolls, false) as cannot_tell,
    coalesce(b.gap_n, 0) as gap_n, b.gap_q[1] as gap_p50_s, b.gap_q[2] as gap_p95_s, b.gap_max_s
from kinds k semi join asked using (check_id)
left join spreads s using (check_id)
left join between_completions b using (check_id)
order by k.check_id
