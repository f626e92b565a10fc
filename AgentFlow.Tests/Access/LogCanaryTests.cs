using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text;
using System.Text.RegularExpressions;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.Tests.Access;

/// <summary>
/// Everything is logged at Trace by the API and by the memory service beside it, and nothing that is secret may be among it: neither in words nor in the structured values, nor in what spans
/// carry, nor as it is in any column of the database; and content only in the tables that are made for it.
/// </summary>
public sealed partial class LogCanaryTests
{
    private const string Content = "quetzalcanarytext";
    private const string ProviderKey = "sk-canary-5f2b9c7de41a4c0b";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_canary_is_found_in_any_log_line_at_trace_level()
    {
        var (log, memoryLog) = (new Capture(), new Capture());
        await using var host = await ApiHost.StartAsync(
            new()
            {
                ["Logging:LogLevel:Default"] = "Trace", ["Logging:LogLevel:Microsoft.AspNetCore"] = "Trace", ["Logging:LogLevel:Npgsql"] = "Trace", ["Logging:LogLevel:System.Net.Http.HttpClient"] = "Trace",
                ["Logging:Console:LogLevel:Default"] = "None", ["Test:Memory"] = "1",
                ["Models:Providers:0:Name"] = "canary", ["Models:Providers:0:Endpoint"] = "http://127.0.0.1:9/v1", ["Models:Providers:0:ApiKey"] = ProviderKey, ["Models:Providers:0:Model"] = "m",
            },
            builder => builder.Services.AddSingleton<ILoggerProvider>(log),
            builder => builder.Services.AddSingleton<ILoggerProvider>(memoryLog));
        var user = await host.RegisterAsync("canary");
        var key = await KeyAsync(user);
        var memoryKey = await host.Memory.Services.GetRequiredService<AgentFlow.MemoryService.Access.ApiKeyStore>().CreateAsync(user.Id.Value, new NewMemoryKey { Name = "canary", Scopes = ["read", "write"] }, Ct);
        var canaries = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["password"] = ApiHost.Password,
            ["wrong password"] = "quetzal wrong password",
            ["access token"] = user.Tokens.AccessToken,
            ["refresh token"] = user.Tokens.RefreshToken,
            ["API key"] = key,
            ["set-up token"] = ApiHost.SetupToken,
            ["signing key"] = Convert.ToBase64String(ApiHost.Secret),
            ["database password"] = new NpgsqlConnectionStringBuilder(host.ConnectionString).Password!,
            ["provider key"] = ProviderKey,
            ["memory key"] = memoryKey.Secret,
            ["memory database password"] = new NpgsqlConnectionStringBuilder(host.MemoryConnectionString).Password!,
            ["content"] = Content,
        };
        using var spans = new Spans(canaries.Values);
        await WalkAsync(host, user, key);
        await WalkMemoryAsync(host, memoryKey.Secret);

        var lines = log.Lines.Concat(memoryLog.Lines.Select(line => $"memory: {line}")).ToArray();
        Assert.True(log.Lines.Count > 500 && memoryLog.Lines.Count > 300, $"{log.Lines.Count} and {memoryLog.Lines.Count} lines");
        var found = canaries.SelectMany(canary => lines.Where(line => line.Contains(canary.Value, StringComparison.OrdinalIgnoreCase)).Select(line => $"{canary.Key} in: {line}")).Take(20).ToArray();
        Assert.True(found.Length == 0, string.Join(Environment.NewLine, found));
        Assert.True(spans.Seen > 50, $"{spans.Seen} spans");
        Assert.Empty(spans.Found);
        Assert.Empty(lines.Where(line => Token().IsMatch(line)).Take(10));
        Assert.Empty(await FindInDatabaseAsync(host.ConnectionString, "agentflow_api", canaries));
        Assert.Empty(await FindInDatabaseAsync(host.MemoryConnectionString, "agentflow_memory", canaries));
    }

    private static async Task WalkAsync(ApiHost host, TestUser user, string key)
    {
        using var client = host.Client();
        using var keyed = host.Client(key);
        using var headered = host.Client();
        headered.DefaultRequestHeaders.Add("X-API-Key", key);
        await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = user.Email, Password = "quetzal wrong password" }, ContractJson.Options, Ct);
        await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = user.Email, Password = ApiHost.Password }, ContractJson.Options, Ct);
        await SendAsync(client, HttpMethod.Post, "/api/auth/login", $$"""{"email":"{{user.Email}}","password":"{{ApiHost.Password}}","extra":"{{Content}}"}""");
        await SendAsync(client, HttpMethod.Post, "/api/auth/login", $$"""{"email":"{{user.Email}}","password":{{Content}}""");
        foreach (var path in new[] { "/api/auth/me", "/api/nothing", $"/api/documents?q={Content}", $"/api/auth/me?token={key}" })
        {
            await keyed.GetAsync(path, Ct);
            await headered.GetAsync(path, Ct);
        }

        await SendAsync(user.Client, HttpMethod.Post, "/api/memories", $$"""{"text":"{{Content}}"}""");
        await SendAsync(user.Client, HttpMethod.Post, "/api/documents/search", $$"""{"query":"{{Content}}"}""");
        await SendAsync(user.Client, HttpMethod.Post, "/api/v1/chat/query", $$"""{"question":"What is {{Content}}?"}""");
        await SendAsync(user.Client, HttpMethod.Post, "/api/chat", $$"""{"message":"{{Content}}","context":{"a":"{{Content}}"} }""");
        await SendAsync(user.Client, HttpMethod.Patch, "/api/auth/me", $$"""{"displayName":"{{Content}}"}""");
        using var file = new MultipartFormDataContent { { new StringContent($"All about {Content}.", Encoding.UTF8, "text/plain"), "file", $"{Content}.txt" } };
        await user.Client.PostAsync("/api/documents", file, Ct);
        await Patience.UntilAsync(async () => await user.Client.GetStringAsync("/api/documents", Ct), list => list.Contains("\"ready\"", StringComparison.Ordinal), "the file's ingestion");
        await host.RegisterAsync("late");
        await client.PostAsJsonAsync("/api/auth/refresh", new RefreshRequest { RefreshToken = user.Tokens.RefreshToken }, ContractJson.Options, Ct);
        await client.PostAsJsonAsync("/api/auth/refresh", new RefreshRequest { RefreshToken = user.Tokens.RefreshToken }, ContractJson.Options, Ct);
        await user.Client.GetAsync("/api/auth/me", Ct);
    }

    /// <summary>What clients of the memory service do, in its own dialect and in Mem0's, rightly and wrongly.</summary>
    private static async Task WalkMemoryAsync(ApiHost host, string key)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(host.Memory.Urls.First()) };
        foreach (var scheme in new[] { "Bearer", "Token" })
        {
            client.DefaultRequestHeaders.Authorization = new(scheme, key);
            await SendAsync(client, HttpMethod.Post, "/api/memories", $$"""{"text":"{{Content}}","userId":"u","infer":false,"metadata":{"a":"{{Content}}"} }""");
            await SendAsync(client, HttpMethod.Post, "/api/memories", $$"""{"messages":[{"role":"user","content":"I like {{Content}}."}],"userId":"u"}""");
            await SendAsync(client, HttpMethod.Post, "/api/memories", $$"""{"text":"{{Content}}","unknown":"{{Content}}"}""");
            await SendAsync(client, HttpMethod.Post, "/api/memories", $$"""{"text":{{Content}}""");
            await SendAsync(client, HttpMethod.Post, "/api/memories/search", $$"""{"query":"{{Content}}","filter":{"userId":"u"} }""");
            await SendAsync(client, HttpMethod.Post, "/api/memories/search", $$"""{"query":"{{Content}}","filter":{"{{Content}}":"u"} }""");
            await SendAsync(client, HttpMethod.Post, "/v3/memories/add/", $$"""{"messages":[{"role":"user","content":"{{Content}}"}],"user_id":"u"}""");
            await SendAsync(client, HttpMethod.Post, "/search", $$"""{"query":"{{Content}}","user_id":"u"}""");
            await client.GetAsync($"/api/memories?userId={Content}&api_key={key}", Ct);
            await client.GetAsync("/api/events", Ct);
        }

        client.DefaultRequestHeaders.Authorization = new("Bearer", key + "x");
        await client.GetAsync("/api/memories", Ct);
    }

    /// <summary>Secrets as text or as bytes in any table; content where only events, states and credentials are kept.</summary>
    private static async Task<List<string>> FindInDatabaseAsync(string connectionString, string schema, Dictionary<string, string> canaries)
    {
        var withoutContent = new[] { "audit_log", "refresh_families", "refresh_tokens", "api_keys", "invites", "index_outbox", "socket_tickets", "web_sessions", "web_keys", "memory_api_keys" };
        await using var database = NpgsqlDataSource.Create(connectionString);
        var tables = new List<string>();
        await using (var list = database.CreateCommand($"select table_name from information_schema.tables where table_schema = '{schema}' and table_type = 'BASE TABLE'"))
        await using (var reader = await list.ExecuteReaderAsync(Ct))
        {
            while (await reader.ReadAsync(Ct))
            {
                tables.Add(reader.GetString(0));
            }
        }

        Assert.True(tables.Count >= 10, $"{tables.Count}");
        var found = new List<string>();
        foreach (var table in tables)
        {
            foreach (var (name, canary) in canaries.Where(canary => !canary.Key.EndsWith("database password", StringComparison.Ordinal) && (canary.Key is not "content" || withoutContent.Contains(table))))
            {
                await using var count = database.CreateCommand($"select count(*) from {schema}.\"{table}\" t where position(lower($1) in lower(row_to_json(t)::text)) > 0 or position($2 in row_to_json(t)::text) > 0");
                count.Parameters.AddWithValue(canary);
                count.Parameters.AddWithValue(Convert.ToHexStringLower(Encoding.UTF8.GetBytes(canary)));
                if ((long)(await count.ExecuteScalarAsync(Ct))! is > 0 and var rows)
                {
                    found.Add($"{name} in {rows} rows of {table}");
                }
            }
        }

        return found;
    }

    private static async Task<string> KeyAsync(TestUser user)
    {
        using var response = await user.Client.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = "canary", Scopes = ["read", "write"] }, ContractJson.Options, Ct);
        return (await response.Content.ReadFromJsonAsync<ApiKeyCreated>(ContractJson.Options, Ct))!.Key;
    }

    private static async Task SendAsync(HttpClient client, HttpMethod method, string path, string body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(request, Ct);
        await response.Content.ReadAsStringAsync(Ct);
    }

    /// <summary>Anything that looks like a token of ours: a JWT, or a key, refresh token or ticket with its secret.</summary>
    [GeneratedRegex(@"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|\baf[rw]?_(mem_)?[\w-]{24,}")]
    private static partial Regex Token();

    /// <summary>Every span of this process that ends, with all that an exporter would send of it.</summary>
    private sealed class Spans : IDisposable
    {
        private readonly ActivityListener listener;
        private int seen;

        public Spans(IReadOnlyCollection<string> canaries)
        {
            listener = new ActivityListener
            {
                ShouldListenTo = static _ => true,
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span =>
                {
                    Interlocked.Increment(ref seen);
                    var tags = span.TagObjects.Concat(span.Events.SelectMany(happened => happened.Tags)).Select(tag => $"{tag.Key}={tag.Value}")
                        .Concat(span.Baggage.Select(item => $"{item.Key}={item.Value}")).Concat(span.Events.Select(happened => happened.Name));
                    var text = $"{span.Source.Name} {span.DisplayName} {span.StatusDescription} {string.Join(' ', tags)}";
                    foreach (var canary in canaries.Where(canary => text.Contains(canary, StringComparison.OrdinalIgnoreCase)))
                    {
                        Found.Enqueue($"{canary} in: {text}");
                    }
                },
            };
            ActivitySource.AddActivityListener(listener);
        }

        public ConcurrentQueue<string> Found { get; } = [];

        public int Seen => Volatile.Read(ref seen);

        public void Dispose() => listener.Dispose();
    }

    private sealed class Capture : ILoggerProvider
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, Lines);

        public void Dispose()
        {
        }

        private sealed class Logger(string category, ConcurrentQueue<string> lines) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                var values = state is IEnumerable<KeyValuePair<string, object?>> pairs ? string.Join(' ', pairs.Select(pair => $"{pair.Key}={pair.Value}")) : "";
                lines.Enqueue($"{logLevel} {category} {formatter(state, exception)} | {values} | {exception}");
            }
        }
    }
}
