-- Additions reach the model in the order in which they were handed in: their ids are times to the millisecond, which two may share.
alter table run_additions add column position bigint generated always as identity;
