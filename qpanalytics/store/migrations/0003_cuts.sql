-- What the ledger of a check was derived under, so that new pings need only what follows the last quiet moment before them
-- to be derived again. NULL: derived by an earlier release, so the next time the whole check is.
alter table store.ledger add column derived_under varchar;
