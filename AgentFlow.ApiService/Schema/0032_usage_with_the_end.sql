-- What a run used is written in the transaction that ends it, which is the worker's.
grant insert, update on model_usage to agentflow_worker;
