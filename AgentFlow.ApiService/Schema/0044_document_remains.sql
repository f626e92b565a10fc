-- What is left of a document that is deleted or has a newer version, and of an original that nobody reads any more. The row that named them is gone or
-- names others, so nothing of it is seen; it is taken away in small steps, whatever its size, by whichever process comes first.
create table document_remains (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null,
    -- Null: an original alone.
    document_id uuid,
    up_to_version integer not null default 0,
    -- The index may know its passages: they leave tombstones.
    was_searched boolean not null default false,
    original_id uuid,
    -- The last passage that was dealt with.
    at_version integer not null default 0,
    at_ordinal integer not null default -1,
    -- The one that has waited longest comes next.
    stepped_at timestamptz not null default now()
);
create index document_remains_next on document_remains (stepped_at);
create index document_remains_document on document_remains (document_id);
alter table document_remains enable row level security;
alter table document_remains force row level security;
create policy owner on document_remains to agentflow_app using (owner_id = app_owner());
create policy worker on document_remains to agentflow_worker using (true);
grant select, insert, delete on document_remains to agentflow_app;
grant select, insert, update, delete on document_remains to agentflow_worker;

-- Documents of many passages whose name, tags, metadata or collections changed: their passages are told to the index in small steps.
create table document_touches (
    document_id uuid primary key references documents (id) on delete cascade,
    owner_id uuid not null,
    at_ordinal integer not null default -1,
    stepped_at timestamptz not null default now()
);
create index document_touches_next on document_touches (stepped_at);
alter table document_touches enable row level security;
alter table document_touches force row level security;
create policy owner on document_touches to agentflow_app using (owner_id = app_owner());
create policy worker on document_touches to agentflow_worker using (true);
grant select, insert, update, delete on document_touches to agentflow_app, agentflow_worker;
