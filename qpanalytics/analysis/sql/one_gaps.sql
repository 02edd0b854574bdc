-- reads: now_runs.  $id: a check; [$from_at, $to_at).  units: microseconds and seconds.
-- returns: one row per completion of the check in that stretch: how long after the completion before it.
with completions as (
    select epoch_us(completed_at) as at_us, seq, epoch_us(completed_at - lag(completed_at) over (order by completed_at, seq)) / 1e6
        as gap_s
    from now_runs where check_id = $id and completed_at is not null
)
select at_us, gap_s from completions
where gap_s is not null and at_us >= epoch_us($from_at::timestamptz) and at_us < epoch_us($to_at::timestamptz)
order by at_us, seq
