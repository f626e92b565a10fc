-- Run once by the image when its volume is empty; the first database is made by POSTGRES_DB.
create database agentflow_memory;
