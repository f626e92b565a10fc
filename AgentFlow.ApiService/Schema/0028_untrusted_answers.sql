-- The answer was written with text of others in sight (documents, pages, a tool's output): whoever reads it again may read their instructions again.
alter table messages add column read_untrusted boolean not null default false;
