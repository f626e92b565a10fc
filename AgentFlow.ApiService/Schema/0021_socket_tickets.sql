-- One WebSocket each: made by an authenticated request, used up by the upgrade, on whichever replica that is.
create table socket_tickets (
    hash       bytea primary key,
    owner_id   uuid not null,
    role       text not null,
    session_id uuid,
    key_id     uuid,
    scopes     integer not null,
    expires_at timestamptz not null
);
create index socket_tickets_age on socket_tickets (expires_at);
alter table socket_tickets enable row level security;
alter table socket_tickets force row level security;
create policy owner on socket_tickets to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
create policy worker on socket_tickets to agentflow_worker using (true) with check (true);
grant insert on socket_tickets to agentflow_app;
grant select, delete on socket_tickets to agentflow_worker;
