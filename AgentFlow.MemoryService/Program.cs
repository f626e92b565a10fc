using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using AgentFlow.ServiceDefaults.Hosting;

return KeyCommand.IsAskedFor(args)
    ? await KeyCommand.RunAsync(args)
    : await ServiceProcess.RunAsync(() => MemoryServiceApplication.Build(args));
