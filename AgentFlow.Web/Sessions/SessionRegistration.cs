using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Web.Api;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.Options;

namespace AgentFlow.Web.Sessions;

internal static class SessionRegistration
{
    /// <summary>The vault is asked on every first page: it answers soon or not at all.</summary>
    private static readonly TimeSpan VaultTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Sessions in memory; about 2 kB each.</summary>
    private const int CachedSessions = 10_000;

    public static WebApplicationBuilder AddSessions(this WebApplicationBuilder builder)
    {
        builder.AddTokens();
        var services = builder.Services;
        services.AddHttpContextAccessor();
        services.AddMemoryCache(options => options.SizeLimit = CachedSessions);
        services.AddServiceHttpClient<VaultClient>("api", VaultTimeout);
        services.AddSingleton<SecretSeal>();
        services.AddSingleton<SessionVault>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<SessionCookie>();
        services.AddScoped<FrontEndSignature>();
        services.AddScoped<SessionAccess>();
        services.AddAuthentication(SessionAuthentication.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, SessionAuthentication>(SessionAuthentication.SchemeName, null);
        services.AddAuthorization();
        services.AddCascadingAuthenticationState();
        services.AddAntiforgery(options => options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest);
        services.AddDataProtection().SetApplicationName("agentflow-web");

        // Keys are sealed by the vault, not by an encryptor of data protection, which warns that it has none.
        builder.Logging.AddFilter("Microsoft.AspNetCore.DataProtection.KeyManagement.XmlKeyManager", LogLevel.Error);
        services.AddSingleton<KeyRingRepository>();
        services.AddSingleton<IConfigureOptions<KeyManagementOptions>, KeyRingOptions>();
        return builder;
    }

    public static void MapSessions(this WebApplication app) =>
        app.MapPost("/sign-out", SignOutAsync).AllowAnonymous();

    /// <summary>Looks for the token by itself: the middleware only notes that it is wrong, and leaves it to who reads the form to refuse.</summary>
    private static async Task<IResult> SignOutAsync(HttpContext context, IAntiforgery antiforgery, SessionCookie cookie)
    {
        if (!await antiforgery.IsRequestValidAsync(context))
            return Problem.Result(StatusCodes.Status400BadRequest, "antiforgery", "This did not come from AgentFlow's own page. Load the page anew.");
        await cookie.SignOutAsync(context);
        return TypedResults.LocalRedirect("/sign-in");
    }
}

/// <summary>Names the connection to the API's internal routes.</summary>
internal sealed class VaultClient(HttpClient http)
{
    public HttpClient Http { get; } = http;
}
