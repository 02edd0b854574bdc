-- What live sources showed. In a span of watched no ping of the check can be missing from store.pings; spans of one
-- check are merged as looks follow one another, so months of looks are a few rows.
create table store.watched (check_id integer not null, since_at timestamptz not null, until_at timestamptz not null);

-- Each check as its source last showed it: pings it ever counted, the most that one reply held, whether it is paused or gone.
create table store.shown (
    check_id integer not null, seen_at timestamptz not null, counted bigint, reply_rows bigint,
    paused boolean not null, gone boolean not null, why varchar not null, reply_why varchar not null,
    -- where the first reply held no ping, what the source had counted until then: what comes behind it can be missed
    baseline bigint, baseline_at timestamptz
);

-- Up to which piece the looks set aside in a state file are in this store.
create table store.fed (state varchar not null, piece bigint not null);

-- Holes in the numbers that a source gives its pings: between two that we have, how many it had and no longer showed.
-- Derived from the tables above, as the ledger is.
create table store.holes (check_id integer not null, lost bigint not null, before_at timestamptz not null, after_at timestamptz not null);
