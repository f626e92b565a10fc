-- What the Web keeps with the API: its browsers' sessions and its data-protection keys, both sealed by the Web. The Web is not an account: its
-- routes run as the worker, and no account can read either table.

create table web_sessions (
    -- SHA-256 of the cookie's value, in hex.
    key text primary key check (length(key) = 64),
    owner_id uuid not null references users (owner_id) on delete cascade,
    payload text not null check (length(payload) <= 16384),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index web_sessions_owner on web_sessions (owner_id);
create index web_sessions_expiry on web_sessions (expires_at);
alter table web_sessions enable row level security;
alter table web_sessions force row level security;
create policy worker on web_sessions to agentflow_worker using (true);
grant select, insert, update, delete on web_sessions to agentflow_worker;

-- Keys belong to the installation, not to an owner.
create table web_keys (
    name text primary key check (length(name) between 1 and 200),
    payload text not null check (length(payload) <= 16384),
    created_at timestamptz not null default now()
);
alter table web_keys enable row level security;
alter table web_keys force row level security;
create policy worker on web_keys to agentflow_worker using (true);
grant select, insert on web_keys to agentflow_worker;
