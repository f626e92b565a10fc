using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;

namespace AgentFlow.ApiService.Identity;

internal static class IdentityRegistration
{
    /// <summary>Accounts, sign-in, API keys, policies.</summary>
    public static WebApplicationBuilder AddIdentity(this WebApplicationBuilder builder)
    {
        builder.AddTokens();
        var services = builder.Services;
        services.AddValidatedOptions<IdentityOptions>(IdentityOptions.Section);
        services.AddSingleton<AccountStore>();
        services.AddSingleton<SessionStore>();
        services.AddSingleton<ApiKeyStore>();
        services.AddSingleton<AccessStates>();
        services.AddSingleton<Passwords>();
        services.AddSingleton<SignInThrottle>();
        services.AddSingleton<Registration>();
        services.AddSingleton<SignIn>();
        services.AddSingleton<PasswordResets>();
        services.AddHostedService<SetupCheck>();
        services.AddSingleton<IAuthorizationHandler, AccessRequirementHandler>();
        services.AddAuthentication(CallerAuthentication.SchemeName)
            .AddScheme<AuthenticationSchemeOptions, CallerAuthentication>(CallerAuthentication.SchemeName, configureOptions: null);
        services.AddAuthorization(Policies.Add);
        return builder;
    }

    public static WebApplication MapIdentity(this WebApplication app)
    {
        AuthEndpoints.Map(app);
        return app;
    }
}
