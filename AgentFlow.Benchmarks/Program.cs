using AgentFlow.Benchmarks;

return await Catalog.RunAsync(args);
