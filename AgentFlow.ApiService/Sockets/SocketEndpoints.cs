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
        return services.AddSingleton<SocketTickets>().AddSingleton<SocketServices>();
    }

    public static void MapSockets(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<IOptions<SocketOptions>>().Value;
        app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = options.KeepAlive, KeepAliveTimeout = options.KeepAlive });
        app.MapPost("/api/ws-ticket", Issue).RequireAuthorization(Policies.Chat).WithTags("Sockets").WithName("IssueSocketTicket")
            .WithSummary("A ticket that opens one WebSocket within seconds.").ProducesProblem(StatusCodes.Status401Unauthorized);

        // The ticket authenticates: it was made by a caller of the chat policy.
        app.MapGet("/ws/chat", Open).RequireAuthorization(Policies.Anonymous).Streams().WithTags("Sockets").WithName("ChatSocket")
            .WithSummary("A WebSocket: message, cancel, approval and ping in; run events out.")
            .Produces(StatusCodes.Status101SwitchingProtocols).ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status401Unauthorized).ProducesProblem(StatusCodes.Status403Forbidden);
    }

    private static async Task<Ok<SocketTicket>> Issue(Caller caller, SocketTickets tickets, IOptions<SocketOptions> options, CancellationToken ct) =>
        TypedResults.Ok(new SocketTicket(await tickets.IssueAsync(caller, options.Value.TicketLife, ct), (int)options.Value.TicketLife.TotalSeconds));

    private static async Task<IResult> Open(
        HttpContext context, string? ticket, SocketTickets tickets, SocketServices services, IOptions<SocketOptions> options, IOptions<CorsOriginOptions> origins,
        IHostApplicationLifetime lifetime)
    {
        if (!context.WebSockets.IsWebSocketRequest)
            return Problem.Result(StatusCodes.Status400BadRequest, "not_a_websocket", "This address speaks WebSocket only.");
        if (!IsOwnOrAllowed(context.Request, origins.Value))
            return Problem.Result(StatusCodes.Status403Forbidden, "origin_not_allowed", "Pages of this origin may not open a WebSocket here.");
        if (await tickets.TakeAsync(ticket, context.RequestAborted) is not { } caller || !await services.Access.IsAllowedAsync(caller, context.RequestAborted))
            return Problem.Result(StatusCodes.Status401Unauthorized, "invalid_ticket", "The ticket is unknown, used or too old. Get a new one.");
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        using var chat = new ChatSocket(socket, caller, services, options.Value);
        await chat.RunAsync(context.RequestAborted, lifetime.ApplicationStopping);
        return TypedResults.Empty;
    }

    /// <summary>Browsers always send their page's origin with an upgrade; other clients need none, since a ticket is no cookie.</summary>
    private static bool IsOwnOrAllowed(HttpRequest request, CorsOriginOptions origins) => request.Headers.Origin.Count switch
    {
        0 => true,
        1 => origins.Allows(request.Headers.Origin[0]) || string.Equals(request.Headers.Origin[0], $"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase),
        _ => false,
    };
}
