-- Looks at queues and workers. A row is what one look showed; a thinned row is the last look of a stretch, and in its
-- other columns what the looks that it stands for showed beside (looks, since_at: how many, and the first of them).
-- Those are NULL in a row that stands for itself alone. All rows of one look at one server have the same taken_at.
create table store.queue_snapshots (
    source varchar not null, system varchar not null, queue varchar not null, taken_at timestamptz not null,
    depth bigint, oldest_at timestamptz, oldest_age_s double, oldest_is varchar, active bigint, orphaned bigint,
    delayed bigint, overdue bigint, retrying bigint, dead bigint, failed bigint,
    processed_total bigint, failed_total bigint, paused boolean, why varchar not null,
    looks integer not null, since_at timestamptz,
    depth_min bigint, depth_max bigint, depth_mean double, oldest_age_max_s double,
    active_min bigint, active_max bigint, active_mean double, orphaned_max bigint, delayed_min bigint, delayed_max bigint,
    overdue_max bigint, retrying_min bigint, retrying_max bigint, dead_min bigint, dead_max bigint, failed_max bigint,
    paused_looks integer,
    -- how far the counters moved from the look before the first of them to this one, however often they began anew in
    -- between (resets), and over how many seconds both ends of such a step were known
    processed_gain bigint, failed_gain bigint, gain_s double, resets integer
);
create table store.worker_snapshots (
    source varchar not null, system varchar not null, worker varchar not null, taken_at timestamptz not null,
    state varchar not null, busy bigint, last_seen_at timestamptz, expected_period_s double, oldest_running_s double,
    queues varchar[], restarts bigint, why varchar not null,
    looks integer not null, since_at timestamptz,
    busy_min bigint, busy_max bigint, busy_mean double, oldest_running_max_s double,
    stale_looks integer, gone_looks integer, restarts_gain bigint
);
