using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>One person's things, one of each kind, made over the API; another person will ask for them by id.</summary>
internal sealed class Belongings
{
    public const string Canary = "zanzibarcanary";

    public const string Agent = "tutor";

    public required TestUser Owner { get; init; }

    public Guid Conversation { get; private set; }

    public Guid Run { get; private set; }

    public Guid Message { get; private set; }

    public Guid Document { get; private set; }

    public Guid Task { get; private set; }

    public Guid Collection { get; private set; }

    public Guid Key { get; private set; }

    public Guid Room { get; private set; }

    public Guid Memory { get; private set; }

    public Guid Session { get; private set; }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<Belongings> MakeAsync(TestUser owner)
    {
        var made = new Belongings { Owner = owner };
        using var file = new MultipartFormDataContent { { new StringContent($"The {Canary} sings at dawn.", Encoding.UTF8, "text/plain"), "file", $"{Canary}.txt" } };
        var uploaded = (await ReadAsync(await owner.Client.PostAsync("/api/documents", file, Ct))).GetProperty("items")[0];
        made.Document = uploaded.GetProperty("id").GetGuid();
        made.Task = uploaded.GetProperty("taskId").GetGuid();
        var answer = await PostAsync(owner, "/api/v1/chat/query", new { question = $"Who is the {Canary}?" });
        made.Run = answer.GetProperty("runId").GetGuid();
        made.Conversation = answer.GetProperty("conversationId").GetGuid();
        made.Message = (await GetAsync(owner, $"/api/chat/{made.Conversation}/history")).GetProperty("items")[0].GetProperty("id").GetGuid();
        made.Collection = (await PostAsync(owner, "/api/collections", new { name = Canary })).GetProperty("id").GetGuid();
        made.Room = (await PostAsync(owner, "/api/rooms", new { name = Canary })).GetProperty("id").GetGuid();
        made.Memory = (await PostAsync(owner, "/api/memories", new { text = $"I keep a {Canary}." })).GetProperty("items")[0].GetProperty("id").GetGuid();
        await PostAsync(owner, "/api/agents", new { slug = Agent, name = Canary, instructions = "Sing.", models = new[] { "*" } });
        (await owner.KeyClientAsync("read")).Dispose();
        made.Key = (await GetAsync(owner, "/api/auth/keys")).GetProperty("items")[0].GetProperty("id").GetGuid();
        made.Session = (await GetAsync(owner, "/api/auth/sessions")).GetProperty("items")[0].GetProperty("id").GetGuid();
        return made;
    }

    /// <summary>The id that a route's parameter, or a body's member, would name.</summary>
    public string Of(string path, string parameter) => (parameter, path) switch
    {
        ("userId", _) => Owner.Id.ToString(),
        ("documentId", _) => Document.ToString(),
        ("runId", _) => Run.ToString(),
        ("conversationId", _) => Conversation.ToString(),
        ("parentMessageId" or "messageId", _) => Message.ToString(),
        ("collection" or "collectionId", _) => Collection.ToString(),
        ("callId", _) => "call-1",
        ("slug", _) => Agent,
        (_, var at) when at.StartsWith("/api/chat", StringComparison.Ordinal) => Conversation.ToString(),
        (_, var at) when at.StartsWith("/api/runs", StringComparison.Ordinal) => Run.ToString(),
        (_, var at) when at.StartsWith("/api/documents", StringComparison.Ordinal) => Document.ToString(),
        (_, var at) when at.StartsWith("/api/collections", StringComparison.Ordinal) => Collection.ToString(),
        (_, var at) when at.StartsWith("/api/rooms", StringComparison.Ordinal) => Room.ToString(),
        (_, var at) when at.StartsWith("/api/tasks", StringComparison.Ordinal) => Task.ToString(),
        (_, var at) when at.StartsWith("/api/auth/keys", StringComparison.Ordinal) => Key.ToString(),
        (_, var at) when at.StartsWith("/api/auth/sessions", StringComparison.Ordinal) => Session.ToString(),
        (_, var at) when at.StartsWith("/api/memories", StringComparison.Ordinal) => Memory.ToString(),
        _ => Guid.CreateVersion7().ToString(),
    };

    /// <summary>All of it as its owner sees it, to compare before and after.</summary>
    public async Task<string> SnapshotAsync()
    {
        var seen = new StringBuilder();
        foreach (var path in new[]
        {
            $"/api/documents/{Document}/text", $"/api/chat/{Conversation}/history", $"/api/runs/{Run}", $"/api/collections/{Collection}/members", $"/api/memories/{Memory}", $"/api/rooms/{Room}/members", "/api/chat",
            "/api/collections", "/api/auth/me", $"/api/agents/{Agent}",
        })
        {
            using var response = await Owner.Client.GetAsync(path, Ct);
            seen.Append(path).Append(' ').Append((int)response.StatusCode).Append(' ').AppendLine(await response.Content.ReadAsStringAsync(Ct));
        }

        return seen.ToString();
    }

    private static async Task<JsonElement> PostAsync(TestUser user, string path, object body) => await ReadAsync(await user.Client.PostAsJsonAsync(path, body, Ct));

    private static async Task<JsonElement> GetAsync(TestUser user, string path) => await ReadAsync(await user.Client.GetAsync(path, Ct));

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{response.RequestMessage?.RequestUri} {(int)response.StatusCode} {body}");
        return JsonElement.Parse(body);
    }
}

/// <summary>An API with its memory service, for the tests that need things of every kind.</summary>
public sealed class FullHost : IAsyncLifetime
{
    public ApiHost Api { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Api = await ApiHost.StartAsync(new() { ["Test:Memory"] = "1" });

    public ValueTask DisposeAsync() => Api.DisposeAsync();
}
