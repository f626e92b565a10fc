-- What a member with write access uploads into somebody's collection belongs to the collection's owner. Such a document never meets the owner's own
-- ones: its content_hash, unique per owner, is salted with its id, and the hash of its bytes is kept beside it to recognise the same content
-- within the collection.
alter table documents
    add column uploaded_by uuid,
    add column upload_hash bytea;
create index documents_uploaded_by on documents (uploaded_by) where uploaded_by is not null;
-- The erasure of an account ends its part in what others own.
grant delete on collection_members to agentflow_worker;
