-- Every search asks whether a live passage of its owner waits for the index. After a large document was deleted, its entries are all that an
-- owner has here, and none of them is the answer.
drop index index_outbox_owner;
create index index_outbox_owner on index_outbox (owner_id, op);
