-- What a task made that is no value of a row: a file in parts, which ends with its task. Each attempt writes parts of its own; those of the claim that
-- ended the task are the file.
create table task_files (
    task_id uuid not null references tasks (id) on delete cascade,
    fence bigint not null,
    part integer not null,
    owner_id uuid not null,
    bytes bytea not null,
    primary key (task_id, fence, part)
);
create index task_files_owner on task_files (owner_id);
alter table task_files enable row level security;
alter table task_files force row level security;
create policy owner on task_files to agentflow_app using (owner_id = app_owner());
create policy worker on task_files to agentflow_worker using (true);
grant select, insert, update, delete on task_files to agentflow_app, agentflow_worker;
