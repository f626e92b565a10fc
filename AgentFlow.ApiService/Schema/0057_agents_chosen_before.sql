-- A run whose agent was chosen by what its process remembers is written only where that is still so.
create policy worker on agents for select to agentflow_worker using (true);
grant select on agents to agentflow_worker;

create function refuse_stale_agent() returns void language plpgsql as $$
begin
    raise exception 'The account''s agents have changed.' using errcode = 'AF001';
end
$$;
