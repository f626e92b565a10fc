using AgentFlow.AppHost.Local;

return await LocalHost.RunAsync(args);
