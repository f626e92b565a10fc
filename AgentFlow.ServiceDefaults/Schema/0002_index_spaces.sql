-- The index of one embedding model gets only what processes with that model write. While processes with another model (or without Qdrant)
-- run, no such index is asked; afterwards it is compared with the rows before it is asked again.
create table index_processes (
    id uuid primary key,
    space text not null,
    active_until timestamptz not null,
    -- It asks no index that others might not have written to.
    yields boolean not null
);
create table index_spaces (
    space text primary key,
    -- The index holds everything that is committed and not in the outbox.
    complete boolean not null default false
);
grant select, insert, update, delete on index_processes, index_spaces to agentflow_worker;
