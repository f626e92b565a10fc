-- What a model found contradicted by a memory that waits for review; it is closed when the memory is approved.
alter table memories add column contradicts uuid[];
