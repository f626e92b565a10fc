using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Sockets;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using DerivedKey = AgentFlow.ServiceDefaults.Idempotency.IdempotencyKey;

namespace AgentFlow.ApiService.Rooms;

/// <summary>Rooms and who is in them. A room that the caller is not in does not exist.</summary>
internal static class RoomEndpoints
{
    private const int MaxName = 100;
    private const int DefaultPage = 50;
    private const int DefaultHistory = 200;

    public static void MapRooms(this IEndpointRouteBuilder routes)
    {
        var rooms = routes.MapGroup("/api/rooms").WithTags("Rooms").RequireAuthorization(Policies.Chat).ProducesProblem(StatusCodes.Status400BadRequest);
        rooms.MapGet("", List).WithName("ListRooms").WithSummary("The caller's rooms, the most recently used first.");
        rooms.MapPost("", Create).WithIdempotency().WithName("CreateRoom").WithSummary("Makes a room; the caller is its owner.");
        var one = rooms.MapGroup("/{id:guid}").ProducesProblem(StatusCodes.Status403Forbidden).ProducesProblem(StatusCodes.Status404NotFound);
        one.MapGet("", Get).WithName("GetRoom").WithSummary("One room.");
        one.MapPatch("", Patch).WithName("PatchRoom").WithSummary("Another name or another agent; owners only.");
        one.MapDelete("", Delete).WithName("DeleteRoom").WithSummary("Deletes a room with its messages, runs and memories; owners only.");
        one.MapGet("/messages", Messages).WithName("GetRoomMessages").WithSummary("Messages, oldest first; order=desc pages from the newest.");
        one.MapGet("/members", Members).WithName("ListRoomMembers").WithSummary("Who is in the room, with roles, and who has it open.");
        one.MapPost("/members", SetMember).WithName("InviteToRoom").WithSummary("Adds an account, by id or e-mail address, or gives a member another role; owners only.")
            .ProducesProblem(StatusCodes.Status409Conflict);
        one.MapDelete("/members/{userId:guid}", RemoveMember).WithName("RemoveFromRoom").WithSummary("Removes a member, whose sockets close; members may leave by themselves.")
            .ProducesProblem(StatusCodes.Status409Conflict);

        // The ticket authenticates: it was made by a caller of the chat policy.
        routes.MapGet("/ws/rooms/{id:guid}", Open).RequireAuthorization(Policies.Anonymous).Streams().WithTags("Rooms").WithName("RoomSocket")
            .WithSummary("A WebSocket: message, cancel, context.add, approval and ping in; a snapshot, messages, presence and run events out.")
            .Produces(StatusCodes.Status101SwitchingProtocols).ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized)
            .ProducesProblem(StatusCodes.Status403Forbidden).ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status426UpgradeRequired)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<Ok<Page<Room>>> List(Caller caller, RoomStore rooms, int? limit, string? cursor, CancellationToken ct) =>
        TypedResults.Ok(await rooms.ListAsync(caller.Owner, Cursor.Limit(limit, DefaultPage), Cursor.TimeAndId(cursor), ct));

    private static async Task<Created<Room>> Create(CreateRoomRequest body, HttpContext context, Caller caller, RoomStore rooms, ChooseAgent choose, CancellationToken ct)
    {
        var name = ChatValidation.Text("name", body.Name, MaxName);
        var agent = await choose(caller.Owner, body.Agent, null, ct);
        var (id, conversation) = (new RoomId(DerivedKey.DeriveId(context)), new ConversationId(DerivedKey.DeriveId(context, 1)));
        var room = await rooms.CreateAsync(caller.Owner, id, conversation, name, agent.Agent.Slug, ct);
        return TypedResults.Created($"/api/rooms/{room.Id}", room);
    }

    private static async Task<Ok<Room>> Get(RoomId id, Caller caller, RoomStore rooms, CancellationToken ct) =>
        TypedResults.Ok((await rooms.FindAsync(caller.Owner, id, ct)).Room);

    private static async Task<Ok<Room>> Patch(RoomId id, PatchRoomRequest body, Caller caller, RoomStore rooms, ChooseAgent choose, CancellationToken ct)
    {
        var room = (await rooms.FindAsync(caller.Owner, id, ct)).Require(RoomRole.Owner);
        var name = body.Name is null ? null : ChatValidation.Text("name", body.Name, MaxName);
        var agent = body.Agent is null ? null : (await choose(caller.Owner, body.Agent, null, ct)).Agent.Slug;
        await rooms.UpdateAsync(room, caller.Owner, name, agent, ct);
        return TypedResults.Ok((await rooms.FindAsync(caller.Owner, id, ct)).Room);
    }

    private static async Task<NoContent> Delete(RoomId id, Caller caller, RoomDeletion deletion, RoomStore rooms, CancellationToken ct)
    {
        await deletion.DeleteAsync((await rooms.FindAsync(caller.Owner, id, ct)).Require(RoomRole.Owner), ct);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<Page<HistoryMessage>>> Messages(
        RoomId id, Caller caller, RoomStore rooms, Conversations conversations, int? limit, string? cursor, string? order, CancellationToken ct)
    {
        if (order is not (null or "asc" or "desc"))
            throw ChatValidation.Invalid("order", "order is asc or desc.");
        var room = await rooms.FindAsync(caller.Owner, id, ct);
        var page = await conversations.HistoryAsync(room.Owner, room.Conversation, Cursor.Limit(limit, DefaultHistory), Cursor.Position(cursor), order == "desc", ct);
        return TypedResults.Ok(page ?? throw RoomErrors.NotFound());
    }

    private static async Task<Ok<Page<RoomMember>>> Members(RoomId id, Caller caller, RoomStore rooms, CancellationToken ct)
    {
        var room = await rooms.FindAsync(caller.Owner, id, ct);
        return TypedResults.Ok(new Page<RoomMember>(await rooms.MembersAsync(room.Id, ct)));
    }

    private static async Task<Ok<RoomMember>> SetMember(RoomId id, RoomMemberRequest body, Caller caller, RoomStore rooms, CancellationToken ct)
    {
        if ((body.UserId is null) == (body.Email is null))
            throw ChatValidation.Invalid("userId", "Send either userId or email.");
        var room = (await rooms.FindAsync(caller.Owner, id, ct)).Require(RoomRole.Owner);
        var account = await rooms.FindAccountAsync(body.UserId, body.Email?.Trim().ToLowerInvariant(), ct) ?? throw RoomErrors.MemberNotFound();
        await rooms.SetMemberAsync(room.Id, account, body.Role, ct);
        return TypedResults.Ok((await rooms.MembersAsync(room.Id, ct)).Find(member => member.UserId == account) ?? throw RoomErrors.MemberNotFound());
    }

    private static async Task<NoContent> RemoveMember(RoomId id, OwnerId userId, Caller caller, RoomStore rooms, CancellationToken ct)
    {
        var room = (await rooms.FindAsync(caller.Owner, id, ct)).Require(userId == caller.Owner ? RoomRole.Viewer : RoomRole.Owner);
        await rooms.SetMemberAsync(room.Id, userId, role: null, ct);
        return TypedResults.NoContent();
    }

    private static async Task<IResult> Open(
        RoomId id, HttpContext context, string? ticket, SocketGate gate, RoomServices services, IOptions<SocketOptions> options, IHostApplicationLifetime lifetime)
    {
        var (caller, refusal) = await gate.AdmitAsync(context, ticket);
        if (refusal is not null)
            return refusal;
        if (await services.Store.TryFindAsync(caller.Owner, id, context.RequestAborted) is not { } room)
            return Problem.NotFound("room");
        using var socket = await SocketGate.AcceptAsync(context);
        if (socket is null)
            return SocketGate.Full(context);
        await new RoomSocket(socket, room, caller, services, options.Value).RunAsync(context.RequestAborted, lifetime.ApplicationStopping);
        return TypedResults.Empty;
    }
}

/// <summary>Stops what is said in a room, removes the room, and leaves word to forget what was learnt there.</summary>
internal sealed class RoomDeletion(RunControl control, RoomStore rooms, DurableQueue queue)
{
    public async Task DeleteAsync(RoomAccess room, CancellationToken ct)
    {
        await control.StopAllAsync(room.Owner, room.Conversation, ct);
        await rooms.DeleteAsync(room.Id, batch => queue.Enqueue(batch, EraseRoomTask.For(room)), ct);
    }
}
