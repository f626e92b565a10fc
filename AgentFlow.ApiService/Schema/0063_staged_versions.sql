-- A new version of a document that is searched already: its passages go to the index while the old ones still answer (staged), and one statement puts them
-- in their place. What the new version says of itself waits here until then.
alter table documents
    add column staged_version integer,
    add column staged_title text,
    add column staged_pages integer,
    add column staged_metadata jsonb not null default '{}';
create index documents_staged on documents (id) where staged_version is not null;

-- A staged version that never came to be searched is taken away alone; the one before it goes on answering.
alter table document_remains add column from_version integer not null default 0;
