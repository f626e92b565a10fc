-- By which key something was used up; null for signed-in people. The owner is who asked, also in a room.
alter table model_usage add column key_id uuid;
