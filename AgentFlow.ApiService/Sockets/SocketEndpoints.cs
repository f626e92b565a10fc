using System.Net.WebSockets;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Tickets, and the WebSocket that one opens.</summary>
internal static class SocketEndpoints
{
    public static IServiceCollection AddSockets(this IServiceCollection services)
    {
        services.AddValidatedOptions<SocketOptions>(SocketOptions.Section);
        return services.AddSingleton<SocketTickets>().AddSingleton<SocketServices>().AddSingleton<SocketGate>();
    }

    public static void MapSockets(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<IOptions<SocketOptions>>().Value;
        app.UseFrameGuard(options);
        app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = options.KeepAlive, KeepAliveTimeout = options.KeepAlive });
        app.MapPost("/api/ws-ticket", Issue).RequireAuthorization(Policies.Chat).WithTags("Sockets").WithName("IssueSocketTicket")
            .WithSummary("A ticket that opens one WebSocket within seconds.").ProducesProblem(StatusCodes.Status401Unauthorized);

        // The ticket authenticates: it was made by a caller of the chat policy.
        app.MapGet("/ws/chat", Open).RequireAuthorization(Policies.Anonymous).Streams().WithTags("Sockets").WithName("ChatSocket")
            .WithSummary("A WebSocket: message, cancel, context.add, approval and ping in; run events out.")
            .Produces(StatusCodes.Status101SwitchingProtocols).ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status401Unauthorized).ProducesProblem(StatusCodes.Status403Forbidden).ProducesProblem(StatusCodes.Status426UpgradeRequired)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<Ok<SocketTicket>> Issue(Caller caller, SocketTickets tickets, IOptions<SocketOptions> options, CancellationToken ct) =>
        TypedResults.Ok(new SocketTicket(await tickets.IssueAsync(caller, options.Value.TicketLife, ct), (int)options.Value.TicketLife.TotalSeconds));

    private static async Task<IResult> Open(
        HttpContext context, string? ticket, SocketGate gate, SocketServices services, IOptions<SocketOptions> options, IHostApplicationLifetime lifetime)
    {
        var (caller, refusal) = await gate.AdmitAsync(context, ticket);
        if (refusal is not null)
            return refusal;
        using var socket = await SocketGate.AcceptAsync(context);
        if (socket is null)
            return SocketGate.Full(context);
        await new ChatSocket(socket, caller, services, options.Value).RunAsync(context.RequestAborted, lifetime.ApplicationStopping);
        return TypedResults.Empty;
    }
}

/// <summary>Who may open a WebSocket: a page of ours or no page, with a ticket that is good and was not used.</summary>
internal sealed class SocketGate(SocketTickets tickets, SocketServices services, IOptions<CorsOriginOptions> origins)
{
    private const string SupportedVersion = "13";

    /// <returns>The caller; or the answer to a request that is refused, while its status can still be told.</returns>
    public async Task<(Caller Caller, IResult? Refusal)> AdmitAsync(HttpContext context, string? ticket)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            return (default, NotWebSocket(context));
        if (!IsOwnOrAllowed(context.Request, origins.Value))
            return (default, Problem.Result(StatusCodes.Status403Forbidden, "origin_not_allowed", "Pages of this origin may not open a WebSocket here."));
        return await tickets.TakeAsync(ticket, context.RequestAborted) is { } caller && await services.Access.IsAllowedAsync(caller, context.RequestAborted)
            ? (caller, null)
            : (default, Problem.Result(StatusCodes.Status401Unauthorized, "invalid_ticket", "The ticket is unknown, used or too old. Get a new one."));
    }

    /// <returns>Null when this process has as many as it may (<c>Limits:WebSockets</c>); the server says so by an exception that it has for nothing else here.</returns>
    public static async Task<WebSocket?> AcceptAsync(HttpContext context)
    {
        try
        {
            return await context.WebSockets.AcceptWebSocketAsync();
        }
        catch (InvalidOperationException) when (!context.Response.HasStarted)
        {
            context.Response.Clear();
            return null;
        }
    }

    public static ProblemHttpResult Full(HttpContext context)
    {
        context.Response.Headers.RetryAfter = "5";
        return Problem.Result(StatusCodes.Status503ServiceUnavailable, "too_many_sockets", "This server holds as many WebSockets as it may. Try again.");
    }

    private static ProblemHttpResult NotWebSocket(HttpContext context)
    {
        if (context.Request.Headers.SecWebSocketVersion is not [{ } version] || version == SupportedVersion)
            return Problem.Result(StatusCodes.Status400BadRequest, "not_a_websocket", "This address speaks WebSocket only.");
        context.Response.Headers.SecWebSocketVersion = SupportedVersion;
        return Problem.Result(StatusCodes.Status426UpgradeRequired, "websocket_version", $"This server speaks version {SupportedVersion} of the WebSocket protocol.");
    }

    /// <summary>
    /// Browsers always send their page's origin with an upgrade, so that one which keeps cookies and tells no origin hides something; other
    /// clients need none, since a ticket is no cookie.
    /// </summary>
    private static bool IsOwnOrAllowed(HttpRequest request, CorsOriginOptions origins) => request.Headers.Origin.Count switch
    {
        0 => request.Headers.Cookie.Count == 0,
        1 => origins.Allows(request.Headers.Origin[0]) || string.Equals(request.Headers.Origin[0], $"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase),
        _ => false,
    };
}
