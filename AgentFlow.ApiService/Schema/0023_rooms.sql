-- Rooms. A room owns its conversation, runs, logs and memories itself: their owner_id is the room's id. So nothing of a member's own
-- can get into a room, or out of it, by a query that somebody forgot to narrow.

create table rooms (
    id              uuid primary key,
    -- The same as id.
    owner_id        uuid not null check (owner_id = id),
    conversation_id uuid not null references conversations on delete cascade,
    name            text not null check (length(name) between 1 and 100),
    agent           text not null,
    -- Whose agents the room may use: the account that chose the agent.
    agent_owner     uuid not null,
    -- The newest entry of room_events; raised first in each transaction that adds one, so that entries commit in their order.
    last_seq        bigint not null default 0,
    -- Of room_members, which an account that looks at its rooms sees only its own row of.
    members         integer not null default 1,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
);

create table room_members (
    room_id   uuid not null references rooms on delete cascade,
    member_id uuid not null,
    -- The room.
    owner_id  uuid not null,
    role      text not null check (role in ('viewer', 'member', 'owner')),
    added_at  timestamptz not null default now(),
    primary key (room_id, member_id)
);
create index room_members_member on room_members (member_id);

-- What is told to everybody in the room, beside the events of its runs.
create table room_events (
    room_id    uuid not null references rooms on delete cascade,
    seq        bigint not null,
    owner_id   uuid not null,
    kind       text not null check (kind in ('message', 'changed')),
    message_id uuid,
    -- The run that answers the message.
    run_id     uuid,
    -- Runs that go before it.
    ahead      integer not null default 0,
    primary key (room_id, seq)
);

-- One row for each open socket; who has not been seen for a while is gone, also if its process died.
create table room_presence (
    socket_id uuid primary key,
    room_id   uuid not null references rooms on delete cascade,
    member_id uuid not null,
    owner_id  uuid not null,
    seen_at   timestamptz not null default now()
);
create index room_presence_room on room_presence (room_id, member_id);

alter table messages add column author_id uuid;
create index messages_author on messages (author_id) where author_id is not null;

alter table rooms enable row level security;
alter table rooms force row level security;
alter table room_members enable row level security;
alter table room_members force row level security;
alter table room_events enable row level security;
alter table room_events force row level security;
alter table room_presence enable row level security;
alter table room_presence force row level security;

create policy owner on rooms to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
create policy owner on room_members to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
create policy owner on room_events to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
create policy owner on room_presence to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());

-- An account finds its memberships and, by them, its rooms; everything inside a room is read as the room, after that.
create policy member on room_members for select to agentflow_app using (member_id = app_owner());
create policy member on rooms for select to agentflow_app
    using (id in (select room_id from room_members where member_id = app_owner()));

-- Which collections all members may read, and the erasure of an account.
create policy worker on rooms for select to agentflow_worker using (true);
create policy worker on room_members for select to agentflow_worker using (true);
create policy worker on room_presence for select to agentflow_worker using (true);

grant select, insert, update, delete on rooms, room_members, room_presence to agentflow_app;
grant select, insert, delete on room_events to agentflow_app;
grant select on rooms, room_members, room_presence to agentflow_worker;
