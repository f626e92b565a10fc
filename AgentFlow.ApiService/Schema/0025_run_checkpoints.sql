-- Where a run stands that waits for a person: enough to go on in another process. Goes with the run.
create table run_checkpoints (
    run_id   uuid primary key references runs on delete cascade,
    owner_id uuid not null,
    -- The run as it was started, and the agent's own account of its turn.
    context  json not null,
    turn     json not null
);
alter table run_checkpoints enable row level security;
alter table run_checkpoints force row level security;
create policy owner on run_checkpoints to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
grant select, insert, update, delete on run_checkpoints to agentflow_app;
