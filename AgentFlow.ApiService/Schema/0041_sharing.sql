-- Members of a collection see the collection and what is in it; the rows of the documents themselves are read as their owner, after
-- the grant was found here.
create policy member on collections for select to agentflow_app
    using (id in (select collection_id from collection_members where member_id = app_owner()));
create policy member on collection_documents for select to agentflow_app
    using (collection_id in (select collection_id from collection_members where member_id = app_owner()));
