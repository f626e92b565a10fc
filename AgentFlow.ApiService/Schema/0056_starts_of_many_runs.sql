-- Runs that begin at once are written in one transaction, the run log's, which is the worker's.
grant insert, update on conversations to agentflow_worker;
grant insert on runs to agentflow_worker;
