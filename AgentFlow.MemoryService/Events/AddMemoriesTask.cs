using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Mem0.Backend;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService.Events;

/// <summary>
/// An add that the caller did not wait for. Its id is the operation's: a second attempt finds what the first one stored. At Mem0 it can't; Mem0
/// drops what it was told twice.
/// </summary>
internal sealed class AddMemoriesTask(MemoryIngestion ingestion, Mem0Memories? atMem0 = null) : ITaskHandler
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
            var response = atMem0 is null
                ? await ingestion.AddAsync(caller, input.Request, new Operation(context.Id, MayRepeat: context.Attempt > 1), ct)
                : await atMem0.AddAsync(caller, input.Request, ct);
            return JsonSerializer.SerializeToElement(response, ContractJson.Options);
        }
        catch (ProblemException problem) when (problem.Status is >= 400 and < 500 || problem.Code is Mem0Memories.Pending)
        {
            throw new TaskFailedException(problem.Message);
        }
    }
}
