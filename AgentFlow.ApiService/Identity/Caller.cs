using System.Diagnostics;
using System.Security.Claims;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// Who a request acts for; a handler takes it as a parameter. Exactly one of <see cref="SessionId"/> (an access token) and
/// <see cref="KeyId"/> (an API key) is set.
/// </summary>
/// <param name="Owner">The account; the owner of all that the request reads and writes.</param>
/// <param name="Role">As stored, not as a token says.</param>
/// <param name="Scopes">Of the API key; unused for a session, which may do what the account may.</param>
internal readonly record struct Caller(OwnerId Owner, UserRole Role, Guid? SessionId, ApiKeyId? KeyId, Scopes Scopes)
{
    /// <summary>When the access token runs out; null for an API key, whose end is looked up.</summary>
    public DateTimeOffset? Until { get; init; }

    public bool IsAdmin => Role is UserRole.Admin;

    /// <summary>Stable name of the bucket that the caller's requests count against.</summary>
    public string LimitKey => KeyId is { } key ? $"key:{key}" : $"user:{Owner}";

    public static ValueTask<Caller> BindAsync(HttpContext context) => ValueTask.FromResult(Of(context));

    /// <exception cref="UnreachableException">The route let somebody in who is not signed in: its policy is wrong.</exception>
    public static Caller Of(HttpContext context) =>
        context.User is CallerPrincipal principal ? principal.Caller : throw new UnreachableException("This route needs a policy that asks for a caller.");
}

/// <summary>What an API key may do. A session needs none.</summary>
[Flags]
internal enum Scopes
{
    None = 0,

    /// <summary>Reading everywhere.</summary>
    Read = 1,

    /// <summary>Reading and writing everywhere, except accounts, keys and administration.</summary>
    Write = 2,

    /// <summary>Chats, runs, rooms, agents and tasks, both ways; tasks on memories or documents need that scope, too.</summary>
    Chat = 4,

    /// <summary>Memories, both ways.</summary>
    Memory = 8,

    /// <summary>Documents and collections, both ways.</summary>
    Documents = 16,

    /// <summary>Administration, if the account's role allows it, too.</summary>
    Admin = 32,
}

/// <summary>The one kind of principal that authentication makes; claims are for code that knows no <see cref="Identity.Caller"/>.</summary>
internal sealed class CallerPrincipal(Caller caller) : ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", caller.Owner.ToString())], "AgentFlow", "sub", "role"))
{
    public Caller Caller { get; } = caller;
}
