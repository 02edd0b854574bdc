-- Where the pings of a check were folded into its occurrences: they and its runs from before before_at stay as they are, and
-- what comes behind is derived as from a cut (qpanalytics/ledger/cutting.py). first_at: its first ping, gone since.
create table store.pruned (
    check_id integer not null, before_at timestamptz not null, seq bigint not null, tick_at timestamptz not null,
    anchor_at timestamptz, first_at timestamptz not null
);
