-- What both services stand on: the durable queue, the index outbox, and idempotency keys.

create table tasks (
    id uuid primary key,
    owner_id uuid not null,
    kind text not null,
    input jsonb not null,
    priority smallint not null default 0,
    status text not null default 'queued' check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'dead')),
    attempts integer not null default 0,
    max_attempts integer not null default 5 check (max_attempts > 0),
    run_at timestamptz not null default now(),
    lease_until timestamptz,
    -- Grows with every claim: what a worker writes counts only while its fence is the newest.
    fence bigint not null default 0,
    cancel_requested boolean not null default false,
    progress real not null default 0,
    step text,
    result jsonb,
    error text,
    dedup_key text,
    trace_parent text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    ended_at timestamptz
);
create index tasks_due on tasks (owner_id, priority desc, run_at, id) where status = 'queued';
create index tasks_leased on tasks (lease_until) where status = 'running';
create index tasks_running_owner on tasks (owner_id) where status = 'running';
create index tasks_listing on tasks (owner_id, created_at desc, id desc);
create index tasks_ended on tasks (ended_at) where ended_at is not null;
create unique index tasks_dedup on tasks (owner_id, kind, dedup_key) where dedup_key is not null and status in ('queued', 'running');
alter table tasks enable row level security;
alter table tasks force row level security;
create policy owner on tasks to agentflow_app using (owner_id = app_owner());
create policy worker on tasks to agentflow_worker using (true);
grant select, insert, update, delete on tasks to agentflow_app, agentflow_worker;

-- One row for each thing whose index entry is behind; a newer change replaces the older row.
create table index_outbox (
    entity_id uuid primary key,
    owner_id uuid not null,
    version bigint not null,
    op text not null check (op in ('upsert', 'delete')),
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    queued_at timestamptz not null default now()
);
create index index_outbox_due on index_outbox (not_before);
create index index_outbox_owner on index_outbox (owner_id);
alter table index_outbox enable row level security;
alter table index_outbox force row level security;
create policy owner on index_outbox to agentflow_app using (owner_id = app_owner());
create policy worker on index_outbox to agentflow_worker using (true);
grant select, insert, update, delete on index_outbox to agentflow_app, agentflow_worker;

create table idempotency_keys (
    owner_id uuid not null,
    route text not null,
    key text not null,
    request_hash bytea not null,
    status smallint,
    content_type text,
    location text,
    body bytea,
    -- While the first request is under way; another may take over when its process has died.
    locked_until timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (owner_id, route, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy owner on idempotency_keys to agentflow_app using (owner_id = app_owner());
create policy worker on idempotency_keys to agentflow_worker using (true);
grant select, insert, update, delete on idempotency_keys to agentflow_app;
grant select, delete on idempotency_keys to agentflow_worker;
