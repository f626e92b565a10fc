-- The charset that the server of a fetched page named; empty when it named none, null for what was uploaded.
alter table documents add column fetched_as text;
