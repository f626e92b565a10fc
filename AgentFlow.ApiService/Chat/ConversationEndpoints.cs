using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Chat;

/// <summary>Conversations: listing, history, titles, search, export, and stopping what runs in them.</summary>
internal static class ConversationEndpoints
{
    private const int MaxTitleLength = 200;
    private const int MaxQueryLength = 200;
    private const int DefaultPage = 50;
    private const int DefaultHistory = 200;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var chat = routes.MapGroup("/api/chat").WithTags("Conversations").RequireAuthorization(Policies.Chat)
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status401Unauthorized);
        chat.MapGet("", List).WithName("ListConversations").WithSummary("Conversations, the most recently used first.");
        chat.MapGet("/search", Search).WithName("SearchConversations").WithSummary("Finds text in titles and messages, newest first.");
        var one = chat.MapGroup("/{id:guid}").ProducesProblem(StatusCodes.Status404NotFound);
        one.MapGet("", Get).WithName("GetConversation").WithSummary("One conversation without its messages.");
        one.MapPatch("", Rename).WithName("RenameConversation").WithSummary("Gives a conversation another title.");
        one.MapDelete("", Delete).WithName("DeleteConversation").WithSummary("Deletes a conversation with its messages and runs.");
        one.MapGet("/history", History).WithName("GetHistory").WithSummary("Messages of all branches, oldest first; order=desc pages from the newest.");
        one.MapGet("/export", Export).WithName("ExportConversation").WithSummary("A whole conversation as JSON, or as Markdown with format=markdown.")
            .Produces<ConversationExport>().Produces(StatusCodes.Status200OK, contentType: "text/markdown");
        one.MapPost("/cancel", Cancel).WithName("CancelConversation").WithSummary("Stops what runs or waits in a conversation. No error when nothing does.");
    }

    private static async Task<Ok<Page<ConversationSummary>>> List(Caller caller, Conversations conversations, int? limit, string? cursor, CancellationToken ct) =>
        TypedResults.Ok(await conversations.ListAsync(caller.Owner, Cursor.Limit(limit, DefaultPage), Cursor.TimeAndId(cursor), ct));

    private static async Task<Ok<Page<ConversationHit>>> Search(Caller caller, Conversations conversations, string? q, int? limit, string? cursor, CancellationToken ct)
    {
        var text = ChatValidation.Text("q", q ?? string.Empty, MaxQueryLength);
        return TypedResults.Ok(await conversations.SearchAsync(caller.Owner, text, Cursor.Limit(limit, DefaultPage), Cursor.TimeAndId(cursor), ct));
    }

    private static async Task<Ok<ConversationSummary>> Get(ConversationId id, Caller caller, Conversations conversations, CancellationToken ct) =>
        TypedResults.Ok(await conversations.FindAsync(caller.Owner, id, ct) ?? throw NotFound());

    private static async Task<Ok<ConversationSummary>> Rename(
        ConversationId id, ConversationPatch body, Caller caller, Conversations conversations, CancellationToken ct)
    {
        var title = ChatValidation.Text("title", body.Title, MaxTitleLength);
        return await conversations.RenameAsync(caller.Owner, id, title, ct) && await conversations.FindAsync(caller.Owner, id, ct) is { } renamed
            ? TypedResults.Ok(renamed)
            : throw NotFound();
    }

    private static async Task<NoContent> Delete(ConversationId id, Caller caller, Conversations conversations, RunControl control, CancellationToken ct)
    {
        await control.StopAllAsync(caller.Owner, id, ct);
        return await conversations.DeleteAsync(caller.Owner, id, ct) ? TypedResults.NoContent() : throw NotFound();
    }

    private static async Task<Ok<Page<HistoryMessage>>> History(
        ConversationId id, Caller caller, Conversations conversations, int? limit, string? cursor, string? order, CancellationToken ct)
    {
        if (order is not (null or "asc" or "desc"))
            throw ChatValidation.Invalid("order", "order is asc or desc.");
        var page = await conversations.HistoryAsync(caller.Owner, id, Cursor.Limit(limit, DefaultHistory), Cursor.Position(cursor), order == "desc", ct);
        return TypedResults.Ok(page ?? throw NotFound());
    }

    private static async Task<IResult> Export(ConversationId id, Caller caller, Conversations conversations, string? format, CancellationToken ct)
    {
        if (format is not (null or "json" or "markdown"))
            throw ChatValidation.Invalid("format", "format is json or markdown.");
        var export = await ConversationExports.CollectAsync(conversations, caller.Owner, id, ct) ?? throw NotFound();
        return format == "markdown" ? TypedResults.Text(ConversationExports.Markdown(export), "text/markdown; charset=utf-8") : TypedResults.Ok(export);
    }

    private static async Task<Ok<ConversationSummary>> Cancel(ConversationId id, Caller caller, Conversations conversations, RunControl control, CancellationToken ct)
    {
        _ = await conversations.FindAsync(caller.Owner, id, ct) ?? throw NotFound();
        await control.StopAllAsync(caller.Owner, id, ct);
        return TypedResults.Ok(await conversations.FindAsync(caller.Owner, id, ct) ?? throw NotFound());
    }

    private static ProblemException NotFound() => new(StatusCodes.Status404NotFound, "not_found", "There is no such conversation.");
}
