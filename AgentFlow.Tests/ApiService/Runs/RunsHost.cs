using System.Net.Http.Headers;
using System.Net.Http.Json;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>
/// Chat and runs on a real Kestrel and a real database, with an agent of the test's own in place of the agent loop and a header in
/// place of a token. Several of them on one database are several replicas.
/// </summary>
internal sealed class RunsHost : IAsyncDisposable
{
    private static readonly string SigningKey = $"test:{Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))}";
    private readonly WebApplication _app;

    private RunsHost(WebApplication app, string address)
    {
        _app = app;
        Address = new(address);
        Client = ClientOf(Owner);
    }

    public OwnerId Owner { get; private set; } = OwnerId.New();

    public Uri Address { get; }

    public HttpClient Client { get; private set; }

    public IServiceProvider Services => _app.Services;

    public LogLines Logs => Services.GetRequiredService<LogLines>();

    public Database Database => Services.GetRequiredService<Database>();

    public static async Task<RunsHost> StartAsync(string connectionString, AgentRun agent, params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = "Testing" });
        HostLog.AddTo(builder);
        builder.Configuration.AddInMemoryCollection(Patience.Settings);
        builder.Configuration.AddInMemoryCollection(
            settings.Prepend(("ConnectionStrings:agentflow-api", connectionString)).Prepend(("Auth:Keys", SigningKey)).Select(pair => KeyValuePair.Create(pair.Item1, (string?)pair.Item2)));
        builder.AddServiceDefaults("agentflow-api");
        builder.AddPostgres("agentflow-api", typeof(RunLog).Assembly);
        builder.Services.AddSingleton<LogLines>().AddSingleton<ILoggerProvider>(provider => provider.GetRequiredService<LogLines>());
        builder.Services.AddRuns().AddChat();
        builder.Services.AddSingleton(agent).AddSingleton<ChooseAgent>((_, slug, model, _) =>
            ValueTask.FromResult(new ChosenAgent(new() { Slug = slug ?? "test" }, model ?? "test-model")));
        builder.Services.AddAuthorization(Policies.Add).AddSingleton<IAuthorizationHandler, HeaderAuthorization>();
        builder.Services.AddAuthentication();
        builder.AddTokens();
        builder.Services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = Patience.Limit);
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.UseServiceDefaults();
        app.Use((context, next) =>
        {
            if (!OwnerId.TryParse(context.Request.Headers["X-Owner"], null, out var owner))
            {
                context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                return Task.CompletedTask;
            }

            context.User = new CallerPrincipal(new(owner, UserRole.User, Guid.CreateVersion7(), null, Scopes.None));
            return next(context);
        });
        app.UseAuthorization();
        app.MapChat();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new(app, app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    /// <summary>A new owner, who has nothing yet, for the next test.</summary>
    public RunsHost Renew()
    {
        Client.Dispose();
        Owner = OwnerId.New();
        Client = ClientOf(Owner);
        return this;
    }

    public Task StopAsync() => _app.StopAsync(TestContext.Current.CancellationToken);

    /// <summary>A client that reads and writes as somebody else, or as the same owner on another replica.</summary>
    public HttpClient ClientOf(OwnerId owner)
    {
        var client = new HttpClient { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(5) };
        client.DefaultRequestHeaders.Add("X-Owner", owner.ToString());
        return client;
    }

    public static async Task<HttpResponseMessage> ChatAsync(HttpClient client, ChatRequest request, string? idempotencyKey = null)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(request, options: ContractJson.Options) };
        if (idempotencyKey is not null)
            message.Headers.Add("Idempotency-Key", idempotencyKey);
        return await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public async Task<List<SseEvent>> ChatToEndAsync(ChatRequest request)
    {
        using var response = await ChatAsync(Client, request);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {string.Join('\n', Logs.At(LogLevel.Error))}");
        return await SseEvent.ReadAllAsync(response);
    }

    public static async Task<HttpResponseMessage> EventsAsync(HttpClient client, RunId run, string? lastEventId = null, string query = "")
    {
        using var message = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{run}/events{query}");
        message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (lastEventId is not null)
            message.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
        return await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }

    /// <summary>The real decision, without the tokens of the front end that the real handler also knows.</summary>
    private sealed class HeaderAuthorization : AuthorizationHandler<AccessRequirement>
    {
        protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, AccessRequirement requirement)
        {
            if (context.Resource is HttpContext http && requirement.Allows((context.User as CallerPrincipal)?.Caller, http.Request.Method))
                context.Succeed(requirement);
            return Task.CompletedTask;
        }
    }
}
