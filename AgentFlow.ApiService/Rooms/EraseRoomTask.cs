using System.Text.Json;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Rooms;

/// <summary>What was learnt in a room goes after the room. Queued with the deletion itself, so that it happens also when the memory service is down just then.</summary>
internal sealed class EraseRoomTask(MemoryClient memories) : ITaskHandler
{
    public const string TaskKind = "room.erase";

    public string Kind => TaskKind;

    public static QueuedTask For(RoomAccess room) => new(
        room.Owner.Value, TaskKind, JsonSerializer.SerializeToElement(new EraseInput(room.Conversation, room.Room.Agent), ContractJson.Options)) { DedupKey = "erase", MaxAttempts = 20 };

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = context.Input.Deserialize<EraseInput>(ContractJson.Options) ?? throw new TaskFailedException("The task has no input.");
        var room = new OwnerId(context.OwnerId);
        var removed = 0L;
        foreach (var subject in new[] { new MemoryScope { SessionId = input.ConversationId.ToString() }, new MemoryScope { UserId = room.ToString() }, new MemoryScope { AgentId = input.Agent } })
            removed += (await memories.EraseAsync(room, subject, ct)).Removed.Values.Sum();
        return JsonSerializer.SerializeToElement(new { removed }, ContractJson.Options);
    }

    private sealed record EraseInput(ConversationId ConversationId, string Agent);
}
