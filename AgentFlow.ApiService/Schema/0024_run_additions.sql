-- What a client adds to a run that another process executes; taken by that process, once. Goes with the run.
create table run_additions (
    id       uuid primary key,
    owner_id uuid not null,
    run_id   uuid not null references runs on delete cascade,
    context  json not null,
    is_taken boolean not null default false
);
create index run_additions_run on run_additions (run_id);
alter table run_additions enable row level security;
alter table run_additions force row level security;
create policy owner on run_additions to agentflow_app using (owner_id = app_owner()) with check (owner_id = app_owner());
create policy worker on run_additions to agentflow_worker using (true) with check (true);
grant select, insert, delete on run_additions to agentflow_app;
grant select, update on run_additions to agentflow_worker;
