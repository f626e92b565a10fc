-- What Mem0's clients can say about a memory, and the exports that they ask for.
create table memory_feedback (
    id uuid primary key,
    owner_id uuid not null,
    memory_id uuid not null references memories on delete cascade,
    -- POSITIVE, NEGATIVE, VERY_NEGATIVE; null takes an earlier one back.
    feedback text,
    reason text,
    created_at timestamptz not null
);
create index memory_feedback_memory on memory_feedback (owner_id, memory_id);

create table memory_exports (
    id uuid primary key,
    owner_id uuid not null,
    filters jsonb not null,
    body jsonb not null,
    user_id text,
    agent_id text,
    session_id text,
    app_id text,
    created_at timestamptz not null
);
create index memory_exports_owner on memory_exports (owner_id, created_at desc);

do $$
declare
    name text;
begin
    foreach name in array array['memory_feedback', 'memory_exports']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy owner on %I using (owner_id = app_owner()) with check (owner_id = app_owner())', name);
        execute format('grant select, insert, update, delete on %I to agentflow_app', name);
    end loop;
end
$$;
