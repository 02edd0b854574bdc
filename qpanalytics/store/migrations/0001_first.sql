-- One schema, `store`, so that analysis SQL can use the bare names for what a reading session shows it.
create schema store;
create table store.meta (version integer not null);

-- check_name is the public `check`: given at first sight, never changed. name follows the source.
create table store.checks (
    check_id integer not null, check_name varchar not null, source varchar not null, key varchar not null,
    name varchar, first_seen_at timestamptz
);

-- What was promised, and from when. valid_from NULL: always. origin: 'source' or 'config' (qpa.toml).
create table store.versions (
    check_id integer not null, origin varchar not null, valid_from timestamptz, valid_to timestamptz,
    schedule varchar, tz varchar, grace_s double, early_s double, max_runtime_s double,
    severity varchar, tags varchar[]
);

-- One row for each try to see pings, and the span in which that try could have overlooked nothing. Files of one source
-- that share a check, directly or through others, are one feed: each vouches for all checks of its feed.
create table store.fetches (
    fetch_id integer not null, feed integer not null, source varchar not null, kind varchar not null, what varchar, digest varchar,
    tried_at timestamptz not null, since_at timestamptz, until_at timestamptz,
    rows bigint not null, added bigint not null, skipped bigint not null, why varchar not null
);
create table store.fetch_checks (fetch_id integer not null, check_id integer not null);

-- k numbers equal rows within one file, so that two equal rows are two pings and a second import adds none.
create table store.pings (
    check_id integer not null, received_at timestamptz not null, kind varchar not null, n bigint, run_id varchar,
    duration_s double, exit_status smallint, host varchar, body varchar,
    k integer not null, fetch_id integer not null, row_no bigint not null
);
create table store.pauses (check_id integer not null, since_at timestamptz not null, until_at timestamptz, why varchar);

-- The ledger: derived from the tables above, per check, by qpanalytics/ledger. (check_id, version, expected_at) names an
-- occurrence; version is the place of the promise among those of its check.
create table store.runs (
    check_id integer not null, run_id varchar, started_at timestamptz, completed_at timestamptz, duration_s double,
    success boolean, exit_status smallint, abandoned_at timestamptz,
    version integer, expected_at timestamptz, limit_at timestamptz, own_limit_at timestamptz,
    seq bigint not null
);
create table store.occurrences (
    check_id integer not null, version integer not null, expected_at timestamptz not null,
    window_start_at timestamptz not null, end_at timestamptz, deadline_at timestamptz not null, gap_s double,
    max_runtime_s double, anchored boolean not null,
    closed_at timestamptz, success_at timestamptz, success_started_at timestamptz, success_duration_s double,
    failure_at timestamptz, failure_started_at timestamptz, failure_duration_s double,
    open_started_at timestamptz, open_limit_at timestamptz, abandoned_started_at timestamptz,
    attempts integer not null, failures integer not null, extra integer not null, last_event_at timestamptz
);
-- horizon_at: the first tick that is not among the stored occurrences; later ones are made when read.
create table store.ledger (check_id integer not null, horizon_at timestamptz);
create table store.settings (name varchar not null, value varchar not null);
insert into store.meta values (1);
