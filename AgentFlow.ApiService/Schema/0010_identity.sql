-- Accounts and the ways in. Before somebody has signed in no owner is known: look-ups by e-mail address, token or key run as the worker.
-- A person's own requests run as the application role, which can not touch roles, passwords or other accounts.

create table users (
    -- The account is the owner of everything that it makes.
    owner_id uuid primary key,
    -- Lower case; one spelling, one account.
    email text not null unique check (length(email) between 3 and 254),
    display_name text not null check (length(display_name) between 1 and 100),
    password_hash text not null,
    role text not null default 'user' check (role in ('user', 'admin')),
    default_agent text,
    disabled_at timestamptz,
    -- Access tokens issued before are void: signing out everywhere, a reset, a change of role.
    tokens_valid_from timestamptz not null default '-infinity',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_sign_in_at timestamptz
);
create index users_listing on users (created_at, owner_id);
alter table users enable row level security;
alter table users force row level security;
create policy owner on users to agentflow_app using (owner_id = app_owner());
create policy worker on users to agentflow_worker using (true);
grant select (owner_id, email, display_name, role, default_agent, disabled_at, created_at, updated_at), update (display_name, default_agent, updated_at)
    on users to agentflow_app;
grant select, insert, update, delete on users to agentflow_worker;

-- One family for each sign-in; a token of it is good once and is then replaced by the next.
create table refresh_families (
    id uuid primary key,
    owner_id uuid not null references users (owner_id) on delete cascade,
    address text,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_reason text
);
create index refresh_families_owner on refresh_families (owner_id, created_at);
create index refresh_families_expiry on refresh_families (expires_at);
alter table refresh_families enable row level security;
alter table refresh_families force row level security;
create policy owner on refresh_families to agentflow_app using (owner_id = app_owner());
create policy worker on refresh_families to agentflow_worker using (true);
grant select on refresh_families to agentflow_app;
grant select, insert, update, delete on refresh_families to agentflow_worker;

create table refresh_tokens (
    -- SHA-256 of the token; the token itself is known to its holder only.
    token_hash bytea primary key check (length(token_hash) = 32),
    owner_id uuid not null,
    family_id uuid not null references refresh_families (id) on delete cascade,
    issued_at timestamptz not null default now(),
    idle_expires_at timestamptz not null,
    used_at timestamptz,
    -- With the token, makes its successor: a client that lost the answer and repeats with the same nonce gets the same one.
    successor_salt bytea,
    nonce text
);
create index refresh_tokens_family on refresh_tokens (family_id);
alter table refresh_tokens enable row level security;
alter table refresh_tokens force row level security;
create policy worker on refresh_tokens to agentflow_worker using (true);
grant select, insert, update, delete on refresh_tokens to agentflow_worker;

create table api_keys (
    id uuid primary key,
    owner_id uuid not null references users (owner_id) on delete cascade,
    name text not null check (length(name) between 1 and 100),
    -- First characters of the key: shown in lists and used to find the row.
    prefix text not null,
    key_hash bytea not null check (length(key_hash) = 32),
    scopes text[] not null check (scopes <@ array['read', 'write', 'chat', 'memory', 'documents', 'admin'] and cardinality(scopes) > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index api_keys_prefix on api_keys (prefix);
create index api_keys_owner on api_keys (owner_id, created_at, id);
alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy owner on api_keys to agentflow_app using (owner_id = app_owner());
create policy worker on api_keys to agentflow_worker using (true);
grant select, insert on api_keys to agentflow_app;
grant update (revoked_at) on api_keys to agentflow_app;
grant select, update (last_used_at), delete on api_keys to agentflow_worker;

create table invites (
    id uuid primary key,
    -- Who invited.
    owner_id uuid not null references users (owner_id) on delete cascade,
    token_hash bytea not null unique check (length(token_hash) = 32),
    -- Null: whoever holds the token may register.
    email text,
    role text not null check (role in ('user', 'admin')),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    used_by uuid
);
alter table invites enable row level security;
alter table invites force row level security;
create policy worker on invites to agentflow_worker using (true);
grant select, insert, update, delete on invites to agentflow_worker;

-- Who did what to whose account. Written once, never changed; survives the account.
create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    -- The account concerned; null where none is known, as at a sign-in to an address without an account.
    owner_id uuid,
    actor_id uuid,
    action text not null,
    address text,
    detail jsonb
);
create index audit_log_owner on audit_log (owner_id, id desc);
create index audit_log_at on audit_log (at);
alter table audit_log enable row level security;
alter table audit_log force row level security;
create policy worker on audit_log to agentflow_worker using (true);
grant select, insert on audit_log to agentflow_worker;
