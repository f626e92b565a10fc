-- Receipts of erasures. They must not hold what was erased: the subject is kept as a hash only.
create table memory_erasures (
    id uuid primary key,
    owner_id uuid not null,
    subject_hash bytea not null,
    removed jsonb not null,
    remaining jsonb not null,
    at timestamptz not null
);
alter table memory_erasures enable row level security;
alter table memory_erasures force row level security;
create policy owner on memory_erasures using (owner_id = app_owner()) with check (owner_id = app_owner());
grant select, insert on memory_erasures to agentflow_app;
