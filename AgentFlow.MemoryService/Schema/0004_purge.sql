-- Deleted memories are kept as empty rows for a while; the sweep that drops them looks for the old ones.
create index memories_deleted on memories (updated_at) where status = 3;
