using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService.Events;

/// <summary>An add that the caller did not wait for. Its id is the operation's: a second attempt finds what the first one stored.</summary>
internal sealed class AddMemoriesTask(MemoryIngestion ingestion) : ITaskHandler
{
    internal const string TaskKind = "memory.add";

    public string Kind => TaskKind;

    internal sealed record Input(AddMemoryRequest Request, MemoryScope? FixedSubject = null);

    internal static QueuedTask Make(MemoryCaller caller, AddMemoryRequest request, Guid operationId) => new(
        caller.OwnerId, TaskKind, JsonSerializer.SerializeToElement(new Input(request with { Async = false }, caller.FixedSubject), ContractJson.Options))
    {
        Id = operationId,
    };

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = context.Input.Deserialize<Input>(ContractJson.Options)!;
        var caller = new MemoryCaller(context.OwnerId, [AccessScopes.Write], input.FixedSubject);
        try
        {
            var response = await ingestion.AddAsync(caller, input.Request, new Operation(context.Id, MayRepeat: context.Attempt > 1), ct);
            return JsonSerializer.SerializeToElement(response, ContractJson.Options);
        }
        catch (ProblemException problem) when (problem.Status is >= 400 and < 500)
        {
            throw new TaskFailedException($"{problem.Code}: {problem.Message}");
        }
    }
}
