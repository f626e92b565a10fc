-- What a call that is under way may cost at most, so that parallel runs can not overdraw a budget of money either.
alter table model_usage add column reserved_cost numeric not null default 0;
