-- What the person had selected when asking: shown with the question, and asked about again when the question is repeated.
alter table messages add column selected_text text;
