using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.WebSessions;

/// <summary>
/// <c>/internal/web</c>: where the Web keeps its sessions and data-protection keys. Not part of the public surface: the caller is the Web itself,
/// known by a token of one minute that only a holder of the shared key ring can sign (header <see cref="Header"/>, not a person's credential).
/// </summary>
internal static class WebSessionEndpoints
{
    public const string Header = Policies.WebHeader;

    private const int MaxPayload = 16_384;

    public static WebApplicationBuilder AddWebSessions(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<WebSessionStore>();
        return builder;
    }

    public static WebApplication MapWebSessions(this WebApplication app)
    {
        var web = app.MapGroup("/internal/web").RequireAuthorization(Policies.Web).LimitAs(LimitKind.None).ExcludeFromDescription();
        web.MapGet("/sessions/{key:length(64)}", FindAsync).WithName("FindWebSession");
        web.MapPut("/sessions/{key:length(64)}", KeepAsync).WithName("KeepWebSession");
        web.MapDelete("/sessions/{key:length(64)}", DropAsync).WithName("DropWebSession");
        web.MapGet("/keys", KeysAsync).WithName("ListWebKeys");
        web.MapPost("/keys", KeepKeyAsync).WithName("KeepWebKey");
        return app;
    }

    private static async Task<Results<Ok<StoredWebSession>, ProblemHttpResult>> FindAsync(string key, WebSessionStore store, CancellationToken ct) =>
        await store.FindAsync(key, ct) is { } session ? TypedResults.Ok(session) : Problem.NotFound("session");

    private static async Task<Results<NoContent, ProblemHttpResult>> KeepAsync(string key, StoredWebSession session, WebSessionStore store, CancellationToken ct)
    {
        if (session.Payload.Length is 0 or > MaxPayload)
            return Problem.Invalid("payload", $"payload has 1 to {MaxPayload} characters.");
        return await store.KeepAsync(key, session, ct) ? TypedResults.NoContent() : Problem.NotFound("account");
    }

    private static async Task<NoContent> DropAsync(string key, WebSessionStore store, CancellationToken ct)
    {
        await store.DropAsync(key, ct);
        return TypedResults.NoContent();
    }

    private static async Task<Ok<Page<StoredWebKey>>> KeysAsync(WebSessionStore store, CancellationToken ct) =>
        TypedResults.Ok(new Page<StoredWebKey>(await store.KeysAsync(ct)));

    private static async Task<Results<NoContent, ProblemHttpResult>> KeepKeyAsync(StoredWebKey key, WebSessionStore store, CancellationToken ct)
    {
        if (key.Name.Length is 0 or > 200 || key.Payload.Length is 0 or > MaxPayload)
            return Problem.Invalid("payload", $"name has 1 to 200 and payload 1 to {MaxPayload} characters.");
        await store.KeepKeyAsync(key, ct);
        return TypedResults.NoContent();
    }
}
