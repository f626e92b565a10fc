-- The conversations of stateless requests are dropped with their logs.
grant delete on conversations to agentflow_worker;
