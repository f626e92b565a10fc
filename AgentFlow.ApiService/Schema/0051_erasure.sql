-- The erasure of an account deletes from every table that has an owner; a test lists those that it may not.
grant delete on agents, tool_approvals to agentflow_app;
