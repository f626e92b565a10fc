-- Documents: what was uploaded, the text that was read from it, its passages and their embeddings.

-- The bytes as they came, in parts of one size (the last is shorter), so that a range is found without reading what is before it.
-- Written while an upload streams in; attached when the upload is complete, swept when it never was.
create table document_originals (
    id uuid primary key,
    owner_id uuid not null,
    attached boolean not null default false,
    created_at timestamptz not null default now()
);
create index document_originals_loose on document_originals (created_at) where not attached;
alter table document_originals enable row level security;
alter table document_originals force row level security;
create policy owner on document_originals to agentflow_app using (owner_id = app_owner());
create policy worker on document_originals to agentflow_worker using (true);
grant select, insert, update, delete on document_originals to agentflow_app, agentflow_worker;

create table document_original_parts (
    original_id uuid not null references document_originals (id) on delete cascade,
    part integer not null,
    owner_id uuid not null,
    bytes bytea not null,
    primary key (original_id, part)
);
alter table document_original_parts alter column bytes set storage external;
alter table document_original_parts enable row level security;
alter table document_original_parts force row level security;
create policy owner on document_original_parts to agentflow_app using (owner_id = app_owner());
create policy worker on document_original_parts to agentflow_worker using (true);
grant select, insert, update, delete on document_original_parts to agentflow_app, agentflow_worker;

create table documents (
    id uuid primary key,
    owner_id uuid not null,
    name text not null,
    media_type text not null,
    format text not null,
    size bigint not null,
    content_hash bytea not null,
    original_id uuid not null,
    source_url text,
    tags text[] not null default '{}',
    metadata jsonb not null default '{}',
    status text not null default 'received'
        check (status in ('received', 'extracting', 'chunking', 'embedding', 'indexing', 'ready', 'failed')),
    failure_reason text,
    progress real not null default 0,
    task_id uuid,
    -- Raised by every new content or new attempt; the version being made, and the one that is searched (null before the first is ready).
    version integer not null default 1,
    live_version integer,
    -- How far the version being made has come: the next window starts here. Written together with the window's text and chunks.
    cursor_offset integer not null default 0,
    cursor_ordinal integer not null default 0,
    -- Of the live version.
    title text,
    pages integer,
    chunk_count integer not null default 0,
    text_length integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create unique index documents_content on documents (owner_id, content_hash);
create index documents_listing on documents (owner_id, created_at desc, id desc);
create index documents_unfinished on documents (updated_at) where status not in ('ready', 'failed');
alter table documents enable row level security;
alter table documents force row level security;
create policy owner on documents to agentflow_app using (owner_id = app_owner());
create policy worker on documents to agentflow_worker using (true);
grant select, insert, update, delete on documents to agentflow_app, agentflow_worker;

-- The stored text, in parts; offsets are UTF-16 units.
create table document_texts (
    document_id uuid not null,
    version integer not null,
    start_offset integer not null,
    end_offset integer not null,
    owner_id uuid not null,
    text text not null,
    primary key (document_id, version, start_offset)
);
alter table document_texts enable row level security;
alter table document_texts force row level security;
create policy owner on document_texts to agentflow_app using (owner_id = app_owner());
create policy worker on document_texts to agentflow_worker using (true);
grant select, insert, update, delete on document_texts to agentflow_app;
grant select, delete on document_texts to agentflow_worker;

-- The embedding of a passage depends on its words and the model alone: kept per owner, so that nobody learns what others hold.
create table chunk_embeddings (
    owner_id uuid not null,
    model text not null,
    content_hash bytea not null,
    vector bytea not null,
    primary key (owner_id, model, content_hash)
) with (toast_tuple_target = 8160);
alter table chunk_embeddings alter column vector set storage external;
alter table chunk_embeddings enable row level security;
alter table chunk_embeddings force row level security;
create policy owner on chunk_embeddings to agentflow_app using (owner_id = app_owner());
create policy worker on chunk_embeddings to agentflow_worker using (true);
grant select, insert, update, delete on chunk_embeddings to agentflow_app, agentflow_worker;

-- A passage. It is searched when its document_version is the document's live_version and it is not deleted.
create table chunks (
    id uuid primary key,
    owner_id uuid not null,
    document_id uuid not null,
    document_version integer not null,
    ordinal integer not null,
    start_offset integer not null,
    end_offset integer not null,
    page integer,
    heading_path text[] not null default '{}',
    text text not null,
    content_hash bytea not null,
    -- What the index is told; raised by every change after the passage went live.
    index_version bigint not null default 1,
    deleted_at timestamptz,
    changed_at timestamptz not null default now(),
    unique (document_id, document_version, ordinal)
);
create index chunks_embedding on chunks (owner_id, content_hash);
create index chunks_deleted on chunks (deleted_at) where deleted_at is not null;
alter table chunks enable row level security;
alter table chunks force row level security;
create policy owner on chunks to agentflow_app using (owner_id = app_owner());
create policy worker on chunks to agentflow_worker using (true);
grant select, insert, update, delete on chunks to agentflow_app, agentflow_worker;

create table collections (
    id uuid primary key,
    owner_id uuid not null,
    name text not null,
    description text,
    created_at timestamptz not null default now(),
    unique (owner_id, name)
);
alter table collections enable row level security;
alter table collections force row level security;
create policy owner on collections to agentflow_app using (owner_id = app_owner());
create policy worker on collections to agentflow_worker using (true);
grant select, insert, update, delete on collections to agentflow_app;
grant select on collections to agentflow_worker;

create table collection_documents (
    collection_id uuid not null references collections (id) on delete cascade,
    document_id uuid not null references documents (id) on delete cascade,
    owner_id uuid not null,
    added_at timestamptz not null default now(),
    primary key (collection_id, document_id)
);
create index collection_documents_document on collection_documents (document_id);
alter table collection_documents enable row level security;
alter table collection_documents force row level security;
create policy owner on collection_documents to agentflow_app using (owner_id = app_owner());
create policy worker on collection_documents to agentflow_worker using (true);
grant select, insert, update, delete on collection_documents to agentflow_app;
grant select on collection_documents to agentflow_worker;

-- Who else may use a collection; owner_id is the collection's owner.
create table collection_members (
    collection_id uuid not null references collections (id) on delete cascade,
    member_id uuid not null,
    owner_id uuid not null,
    access text not null check (access in ('read', 'write', 'manage')),
    added_at timestamptz not null default now(),
    primary key (collection_id, member_id)
);
create index collection_members_member on collection_members (member_id);
alter table collection_members enable row level security;
alter table collection_members force row level security;
create policy owner on collection_members to agentflow_app using (owner_id = app_owner());
create policy member on collection_members for select to agentflow_app using (member_id = app_owner());
create policy worker on collection_members to agentflow_worker using (true);
grant select, insert, update, delete on collection_members to agentflow_app;
grant select on collection_members to agentflow_worker;
