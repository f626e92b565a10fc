using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;

namespace AgentFlow.MemoryService.Access;

/// <summary>Names of the policies; every route declares one.</summary>
internal static class Policies
{
    internal const string Read = "memories.read";

    internal const string Write = "memories.write";

    internal const string Admin = "memories.admin";
}

internal static class AccessRegistration
{
    internal static WebApplicationBuilder AddAccess(this WebApplicationBuilder builder)
    {
        // Alone, without the API, the service has only keys of its own.
        if (!string.IsNullOrEmpty(builder.Configuration[$"{TokenOptions.Section}:{nameof(TokenOptions.Keys)}"]))
            builder.AddTokens();
        builder.Services.AddSingleton<ApiKeyStore>();
        builder.Services.AddAuthentication(MemoryAuthentication.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, MemoryAuthentication>(MemoryAuthentication.SchemeName, null);
        builder.Services.AddAuthorizationBuilder()
            .AddPolicy(Policies.Read, Needs(AccessScopes.Read))
            .AddPolicy(Policies.Write, Needs(AccessScopes.Write))
            .AddPolicy(Policies.Admin, Needs(AccessScopes.Admin))
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAssertion(IsNoRouteOfOurs).Build());
        return builder;
    }

    /// <summary>
    /// A route that declares no policy is closed. Where routing found none, or only its own answer of 405 or 415, there is nothing to
    /// protect, and that answer is the one to give.
    /// </summary>
    private static bool IsNoRouteOfOurs(AuthorizationHandlerContext context) => context.Resource is HttpContext http && http.GetEndpoint() is not RouteEndpoint;

    private static Action<AuthorizationPolicyBuilder> Needs(string scope) => policy => policy.RequireAuthenticatedUser().RequireClaim("scope", scope);
}
