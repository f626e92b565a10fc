using System.Collections.Frozen;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Authorization;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// Names of the policies; every route declares one. Sessions pass all but <see cref="Admin"/>, which asks for the role; API keys also
/// need a scope: <c>read</c> or <c>write</c> (everywhere) or the area's own. Unless a name says otherwise, GET and HEAD are reading.
/// </summary>
internal static class Policies
{
    /// <summary>Nobody has to be signed in.</summary>
    public const string Anonymous = "anonymous";

    /// <summary>Whoever is signed in; keys by method.</summary>
    public const string User = "user";

    /// <summary>Whoever is signed in; a key with any of read and write, whatever the method.</summary>
    public const string Read = "read";

    /// <summary>Whoever is signed in; a key with write, whatever the method.</summary>
    public const string Write = "write";

    /// <summary>A signed-in person, never a key: passwords, keys, signing out.</summary>
    public const string Session = "session";

    public const string Chat = "chat";

    /// <summary>For POST routes that only read.</summary>
    public const string ChatRead = "chat.read";

    public const string Memory = "memory";

    public const string MemoryRead = "memory.read";

    public const string Documents = "documents";

    public const string DocumentsRead = "documents.read";

    /// <summary>Administrators; keys with the scope admin of an administrator.</summary>
    public const string Admin = "admin";

    /// <summary>AgentFlow's own front end, by the token in <see cref="WebHeader"/>; never a person.</summary>
    public const string Web = "web";

    public const string WebHeader = FrontEnd.TokenHeader;

    public static void Add(AuthorizationOptions options)
    {
        foreach (var (name, requirement) in Requirements)
        {
            options.AddPolicy(name, policy => policy.AddRequirements(requirement));
        }
    }

    /// <summary>A route that declares no policy stops the start: it could only be open by mistake.</summary>
    public static void RequireEverywhere(IEndpointRouteBuilder routes)
    {
        var open = routes.DataSources.SelectMany(source => source.Endpoints)
            .Where(endpoint => endpoint.Metadata.GetMetadata<IAuthorizeData>() is null && endpoint.Metadata.GetMetadata<IAllowAnonymous>() is null)
            .Select(endpoint => endpoint.DisplayName)
            .ToArray();
        if (open.Length > 0)
        {
            throw new InvalidOperationException($"These routes declare no policy: {string.Join(", ", open)}");
        }
    }

    internal static readonly FrozenDictionary<string, AccessRequirement> Requirements = new Dictionary<string, AccessRequirement>(StringComparer.Ordinal)
    {
        [Anonymous] = new(Access.Everybody),
        [User] = new(Access.ByMethod),
        [Read] = new(Access.Read),
        [Write] = new(Access.Write),
        [Session] = new(Access.Session),
        [Chat] = new(Access.ByMethod, Scopes.Chat),
        [ChatRead] = new(Access.Read, Scopes.Chat),
        [Memory] = new(Access.ByMethod, Scopes.Memory),
        [MemoryRead] = new(Access.Read, Scopes.Memory),
        [Documents] = new(Access.ByMethod, Scopes.Documents),
        [DocumentsRead] = new(Access.Read, Scopes.Documents),
        [Admin] = new(Access.Admin),
        [Web] = new(Access.Web),
    }.ToFrozenDictionary(StringComparer.Ordinal);
}

internal enum Access
{
    Everybody,
    Read,
    Write,
    ByMethod,
    Session,
    Admin,
    Web,
}

/// <param name="Area">A key's scope that opens the route both ways, beside read and write.</param>
internal sealed record AccessRequirement(Access Access, Scopes Area = Scopes.None) : IAuthorizationRequirement
{
    /// <summary>The decision, pure. False for somebody unknown means 401, for a caller 403.</summary>
    public bool Allows(Caller? caller, string method)
    {
        if (Access is Access.Everybody or Access.Web || caller is not { } known)
        {
            return Access is Access.Everybody;
        }

        var isKey = known.KeyId is not null;
        return Access switch
        {
            Access.Session => !isKey,
            Access.Admin => known.IsAdmin && (!isKey || known.Scopes.HasFlag(Scopes.Admin)),
            _ => !isKey || (known.Scopes & Needed(method)) != Scopes.None,
        };
    }

    private Scopes Needed(string method)
    {
        var reads = Access is Access.Read || (Access is Access.ByMethod && (HttpMethods.IsGet(method) || HttpMethods.IsHead(method)));
        return Area | Scopes.Write | (reads ? Scopes.Read : Scopes.None);
    }
}

/// <summary>
/// Judges a route by the last policy that it declares: a route's own word replaces its group's, so that one POST of a group may be a reading.
/// (The framework would ask for both.)
/// </summary>
internal sealed class AccessRequirementHandler(JwtCodec codec) : AuthorizationHandler<AccessRequirement>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, AccessRequirement requirement)
    {
        if (context.Resource is HttpContext http && IsAllowed(http, (context.User as CallerPrincipal)?.Caller, requirement))
        {
            context.Succeed(requirement);
        }

        return Task.CompletedTask;
    }

    private bool IsAllowed(HttpContext http, Caller? caller, AccessRequirement requirement)
    {
        var last = http.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>()?.Policy;
        var rule = last is not null && Policies.Requirements.TryGetValue(last, out var own) ? own : requirement;
        return rule.Access is Access.Web ? IsWeb(http) : rule.Allows(caller, http.Request.Method);
    }

    private bool IsWeb(HttpContext http) => FrontEnd.IsSigned(http.Request, codec);
}
