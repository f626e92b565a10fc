using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using DerivedKey = AgentFlow.ServiceDefaults.Idempotency.IdempotencyKey;

namespace AgentFlow.ApiService.Rooms;

/// <summary>Takes what a member says: to the agent, whose answers queue up, or to the people alone.</summary>
internal sealed class RoomTalk(RunStarter starter, RoomFeed feed, CallerLimits limits)
{
    public async Task SayAsync(RoomAccess room, Caller caller, MessageFrame frame, CancellationToken ct)
    {
        Check(frame);
        var request = ChatValidation.Accept(frame.ToRequest(), room.Owner, frame.IdempotencyKey);
        limits.TakeRun(caller);
        if (frame.Ask is false)
        {
            await feed.SayAsync(room, caller.Owner, MessageIdOf(room, caller, frame.IdempotencyKey), request.Question, request.SelectedText, ct);
            return;
        }

        await starter.StartAsync(
            request with
            {
                ConversationId = room.Conversation,
                WhileRunning = WhileRunning.Enqueue,
                Author = room.DisplayName,
                Asker = caller.Owner,
                KeyId = caller.KeyId,
                AgentOwner = room.AgentOwner,
                Announce = feed.Announcing(room, caller.Owner),

                // The room's rows have one owner: keys of different members must not meet.
                Idempotency = request.Idempotency is { } key ? key with { Key = $"{caller.Owner}/{key.Key}" } : null,
            },
            ct);
    }

    private static void Check(MessageFrame frame)
    {
        var refused = frame switch
        {
            { ConversationId: not null } => "conversationId",
            { Messages: not null } => "messages",
            { Agent: not null } => "agent",
            { ParentMessageId: not null } => "parentMessageId",
            { WhileRunning: not WhileRunning.Reject } => "whileRunning",
            { OnDisconnect: not OnDisconnect.Continue } => "onDisconnect",
            { Ask: false, Context: not null } => "context",
            { Ask: false, Model: not null } => "model",
            _ => null,
        };
        if (refused is not null)
            throw ChatValidation.Invalid(refused, $"{refused} is not for messages in a room.");
    }

    private static MessageId MessageIdOf(RoomAccess room, Caller caller, string? key) =>
        key is null ? MessageId.New() : new(new DerivedKey(caller.Owner.Value, $"room {room.Id}", key).DeriveId(0));
}
