-- The memories of one owner's subjects. A row is the current version of a memory; what it said before is in memory_versions, what was
-- done to it in memory_history. Deleting blanks the row and keeps it as a tombstone, so that an index that is late can not revive it.
create table memories (
    id uuid primary key,
    -- The order of listings and the tie-break of cursors; UUID v7 is not monotonic within a millisecond.
    seq bigint generated always as identity,
    owner_id uuid not null,
    user_id text,
    agent_id text,
    session_id text,
    app_id text,
    -- SHA-256 over the four subjects: duplicates and contradictions are looked for among memories of exactly the same subjects.
    subject_hash bytea not null,
    kind smallint not null,
    text text not null,
    -- SHA-256 of the normalized text (Memories/ContentHash.cs).
    content_hash bytea not null,
    -- What the fact is about when it can have only one value at a time, such as 'name' or 'likes:coffee' (Memories/FactSlot.cs).
    slot text,
    metadata jsonb not null default '{}',
    categories text[] not null default '{}',
    trust smallint not null,
    source text,
    role text,
    actor text,
    immutable boolean not null default false,
    -- 0 active, 1 pending review, 2 rejected, 3 deleted
    status smallint not null default 0,
    version integer not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    observed_at timestamptz,
    expires_at timestamptz,
    valid_from timestamptz not null,
    valid_to timestamptz,
    superseded_by uuid,
    -- The transaction of the last change: a cache reads what changed since a snapshot without missing a late commit.
    changed_xid xid8 not null default pg_current_xact_id(),
    check (user_id is not null or agent_id is not null or session_id is not null or app_id is not null),
    check (valid_to is null or valid_to >= valid_from)
);

create unique index memories_live_text on memories (owner_id, subject_hash, content_hash) where status in (0, 1) and valid_to is null;
create index memories_live_slot on memories (owner_id, subject_hash, slot) where status = 0 and valid_to is null and slot is not null;
create index memories_owner on memories (owner_id, seq);
create index memories_changed on memories (owner_id, changed_xid);
create index memories_user on memories (owner_id, user_id, seq) where user_id is not null;
create index memories_agent on memories (owner_id, agent_id, seq) where agent_id is not null;
create index memories_session on memories (owner_id, session_id, seq) where session_id is not null;
create index memories_app on memories (owner_id, app_id, seq) where app_id is not null;
create index memories_expiry on memories (expires_at) where expires_at is not null and status = 0;

-- One vector for each embedding model, so that a new model can be filled while the old one serves. Rows stay in line (2 kB of vector
-- would go to TOAST otherwise), which makes loading an owner one sequential read.
create table memory_embeddings (
    memory_id uuid not null references memories on delete cascade,
    model text not null,
    owner_id uuid not null,
    -- Little-endian 32-bit floats.
    vector bytea not null,
    primary key (memory_id, model)
) with (toast_tuple_target = 8160);
alter table memory_embeddings alter column vector set storage external;
create index memory_embeddings_owner on memory_embeddings (owner_id, model);

-- What a memory said from recorded_at until replaced_at; written when a change replaces it.
create table memory_versions (
    memory_id uuid not null references memories on delete cascade,
    version integer not null,
    owner_id uuid not null,
    text text not null,
    metadata jsonb not null,
    categories text[] not null,
    expires_at timestamptz,
    valid_from timestamptz not null,
    valid_to timestamptz,
    recorded_at timestamptz not null,
    replaced_at timestamptz not null,
    primary key (memory_id, version)
);
create index memory_versions_owner on memory_versions (owner_id);

-- Every change ever made, and the feed of events. Readers follow (xid, seq) and stop at the oldest running transaction, because a
-- sequence alone shows numbers before the ones below them are committed.
create table memory_history (
    seq bigint generated always as identity primary key,
    owner_id uuid not null,
    operation_id uuid not null,
    memory_id uuid not null,
    version integer not null,
    -- MemoryChange as a number
    event smallint not null,
    old_text text,
    new_text text,
    user_id text,
    agent_id text,
    session_id text,
    app_id text,
    role text,
    actor text,
    at timestamptz not null,
    xid xid8 not null default pg_current_xact_id()
);
create index memory_history_memory on memory_history (owner_id, memory_id, seq);
create index memory_history_feed on memory_history (owner_id, xid, seq);
create index memory_history_operation on memory_history (owner_id, operation_id);

create table memory_entities (
    id uuid primary key,
    owner_id uuid not null,
    name text not null,
    -- The name folded for comparison.
    key text not null,
    kind text not null,
    created_at timestamptz not null,
    unique (owner_id, key)
);

create table memory_entity_links (
    memory_id uuid not null references memories on delete cascade,
    entity_id uuid not null references memory_entities on delete cascade,
    owner_id uuid not null,
    primary key (memory_id, entity_id)
);
create index memory_entity_links_entity on memory_entity_links (owner_id, entity_id);

create table memory_relations (
    id uuid primary key,
    owner_id uuid not null,
    memory_id uuid not null references memories on delete cascade,
    source_id uuid not null references memory_entities on delete cascade,
    target_id uuid not null references memory_entities on delete cascade,
    relation text not null,
    created_at timestamptz not null,
    unique (memory_id, source_id, relation, target_id)
);
create index memory_relations_owner on memory_relations (owner_id);

-- Keys are shown once and stored as SHA-256. A fixed subject binds every read and write of the key.
create table memory_api_keys (
    id uuid primary key,
    owner_id uuid not null,
    name text not null,
    key_hash bytea not null unique,
    prefix text not null,
    scopes text[] not null,
    user_id text,
    agent_id text,
    session_id text,
    app_id text,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
create index memory_api_keys_owner on memory_api_keys (owner_id);

do $$
declare
    name text;
begin
    foreach name in array array['memories', 'memory_embeddings', 'memory_versions', 'memory_history', 'memory_entities',
        'memory_entity_links', 'memory_relations', 'memory_api_keys']
    loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy owner on %I using (owner_id = app_owner()) with check (owner_id = app_owner())', name);
        execute format('grant select, insert, update, delete on %I to agentflow_app', name);
    end loop;
end
$$;

-- The index worker reads the truth of many owners, fills vectors of a new model and purges what has expired; signing in looks a key up
-- before its owner is known.
create policy worker on memories to agentflow_worker using (true) with check (true);
create policy worker on memory_embeddings to agentflow_worker using (true) with check (true);
create policy worker on memory_api_keys to agentflow_worker using (true) with check (true);
grant select, update, delete on memories to agentflow_worker;
grant select, insert, update, delete on memory_embeddings to agentflow_worker;
grant select, insert, update on memory_api_keys to agentflow_worker;
