using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using Microsoft.AspNetCore.Mvc;

namespace AgentFlow.ApiService.Chat;

/// <summary>Asking: as a stream of events, or as one JSON answer.</summary>
internal static class ChatEndpoints
{
    /// <summary>Room for a message of 50,000 characters, its context, and the turns of a stateless conversation.</summary>
    private const int MaxBodyBytes = 1024 * 1024;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var chat = routes.MapGroup("").WithTags("Chat").RequireAuthorization(Policies.Chat)
            .LimitAs(LimitKind.Chat).TakeBodyOf(MaxBodyBytes).Streams()
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized)
            .ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity).ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        chat.MapPost("/api/chat", Chat).WithName("Chat").WithSummary("Sends a message; answers as a stream of run events, or as one JSON with stream: false.")
            .Produces(StatusCodes.Status200OK, contentType: "text/event-stream").ProducesProblem(StatusCodes.Status409Conflict);
        chat.MapPost("/api/v1/chat/query", Query).WithName("Query").WithSummary("One question, one JSON answer with citations.").Produces<QueryAnswer>();
    }

    private static async Task<IResult> Chat(
        ChatRequest body, Caller caller, RunStarter starter, RunStreams streams, Answers answers, [FromHeader(Name = "Idempotency-Key")] string? idempotencyKey,
        CancellationToken ct)
    {
        var request = ChatValidation.Accept(body, caller.Owner, idempotencyKey) with { KeyId = caller.KeyId };
        var begun = answers.Begin();
        var ticket = await starter.StartAsync(request, ct);
        return body.Stream
            ? streams.Stream(caller.Owner, ticket, body.OnDisconnect)
            : TypedResults.Ok(await answers.WaitAsync(request, ticket, begun, body.OnDisconnect, ct));
    }

    private static async Task<IResult> Query(
        QueryRequest body, Caller caller, RunStarter starter, Answers answers, [FromHeader(Name = "Idempotency-Key")] string? idempotencyKey, CancellationToken ct)
    {
        var request = ChatValidation.Accept(body, caller.Owner, idempotencyKey) with { KeyId = caller.KeyId };
        var begun = answers.Begin();
        var ticket = await starter.StartAsync(request, ct);
        return TypedResults.Ok(await answers.WaitAsync(request, ticket, begun, OnDisconnect.Continue, ct));
    }
}
