-- Agents made over the API, consents for tool calls, and what models have cost.

create table agents (
    owner_id   uuid not null,
    slug       text not null,
    version    integer not null check (version > 0),
    -- The definition as the API shows it; null marks the agent as deleted from this version on.
    definition jsonb,
    created_at timestamptz not null default now(),
    primary key (owner_id, slug, version)
);

create table tool_approvals (
    owner_id          uuid not null,
    run_id            uuid not null,
    call_id           text not null,
    tool              text not null,
    arguments         json not null,
    -- pending, approve, deny or expired
    decision          text not null default 'pending' check (decision in ('pending', 'approve', 'deny', 'expired')),
    -- What was approved, where it was edited.
    decided_arguments json,
    created_at        timestamptz not null default now(),
    expires_at        timestamptz not null,
    decided_at        timestamptz,
    primary key (run_id, call_id)
);

-- One row for each run of a model; a reservation until settled_at is set.
create table model_usage (
    run_id        uuid primary key,
    owner_id      uuid not null,
    model         text not null,
    reserved      bigint not null default 0,
    input_tokens  bigint not null default 0,
    output_tokens bigint not null default 0,
    cost          numeric,
    created_at    timestamptz not null default now(),
    settled_at    timestamptz
);
create index model_usage_of_owner on model_usage (owner_id, created_at);

alter table agents enable row level security;
alter table agents force row level security;
create policy owner on agents using (owner_id = app_owner());
grant select, insert on agents to agentflow_app;

alter table tool_approvals enable row level security;
alter table tool_approvals force row level security;
create policy owner on tool_approvals using (owner_id = app_owner());
grant select, insert, update on tool_approvals to agentflow_app;

alter table model_usage enable row level security;
alter table model_usage force row level security;
create policy owner on model_usage using (owner_id = app_owner());
grant select, insert, update, delete on model_usage to agentflow_app;
create policy worker on model_usage to agentflow_worker using (true);
grant select on model_usage to agentflow_worker;
