using System.Net;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using AgentFlow.Web.Api;
using AgentFlow.Web.Sessions;

namespace AgentFlow.Tests.Web.Api;

/// <summary>The Web's calls count for the browser that they are made for, at the API itself.</summary>
public sealed class FrontEndSignatureTests
{
    [Fact]
    public async Task One_browser_that_guesses_passwords_keeps_no_other_from_signing_in()
    {
        await using var api = await ApiHost.StartAsync(
            new() { ["Limits:AnonymousPerMinute"] = "5" }, builder => builder.Services.AddSingleton<TimeProvider>(new StoppedClock()));
        await using var web = Client(api.Address);

        var guesses = new List<int>();
        for (var i = 0; i < 20; i++)
        {
            guesses.Add(await SignInAsync(web, "203.0.113.66", api.Admin.Email, "this is not the password"));
        }

        Assert.Contains(429, guesses);
        Assert.Equal(200, await SignInAsync(web, "203.0.113.7", api.Admin.Email, ApiHost.Password));
    }

    /// <returns>200, or the status of the refusal.</returns>
    private static async Task<int> SignInAsync(ServiceProvider web, string browser, string email, string password)
    {
        using var scope = web.CreateScope();
        scope.ServiceProvider.GetRequiredService<IHttpContextAccessor>().HttpContext = new DefaultHttpContext { Connection = { RemoteIpAddress = IPAddress.Parse(browser) } };
        try
        {
            await scope.ServiceProvider.GetRequiredService<AccountClient>().LoginAsync(new LoginRequest { Email = email, Password = password }, TestContext.Current.CancellationToken);
            return 200;
        }
        catch (ApiException refusal)
        {
            return refusal.Problem.Status;
        }
    }

    private static ServiceProvider Client(Uri api)
    {
        var services = new ServiceCollection();
        services.AddSingleton(TimeProvider.System).AddLogging().AddMemoryCache().AddHttpContextAccessor();
        services.AddSingleton(KeyRing.Parse(ApiHost.Keys)).AddSingleton<JwtCodec>().AddSingleton<SecretSeal>();
        services.AddSingleton<SessionVault>().AddSingleton<SessionStore>().AddScoped<FrontEndSignature>().AddScoped<SessionAccess>();
        services.AddHttpClient<ApiClient>(client => client.BaseAddress = api);
        services.AddTransient<AccountClient>();
        return services.BuildServiceProvider();
    }
}
