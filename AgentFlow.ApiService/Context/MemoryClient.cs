using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.ApiService.Context;

/// <summary>The subjects of a conversation: the account, the agent and the session, in the memory service's own terms.</summary>
internal sealed record MemorySubjects(OwnerId Owner, string Agent, ConversationId Conversation)
{
    public string UserId => Owner.Value.ToString("D");

    public string SessionId => Conversation.Value.ToString("D");
}

/// <param name="Degraded">What the memory service could not ask; null when everything answered.</param>
/// <param name="LearnsByRules">It takes facts out by rules, without a model.</param>
internal sealed record MemorySearchResult(IReadOnlyList<RecalledMemory> Items, IReadOnlyList<string>? Degraded, bool LearnsByRules = false);

/// <summary>Speaks with the MemoryService for one owner at a time, by a token of one minute. Failures are <see cref="HttpRequestException"/>.</summary>
internal sealed class MemoryClient(HttpClient http, InternalTokens tokens)
{
    private static readonly string[] ReadScope = ["memory.read"];
    private static readonly string[] WriteScope = ["memory.write", "memory.read"];

    /// <summary>Memories of user, agent and session in one call, best first, each labelled with its scope.</summary>
    public async Task<MemorySearchResult> SearchAsync(MemorySubjects subjects, string query, int topK, CancellationToken ct)
    {
        var body = new SearchMemoriesRequest { Query = query, Filter = Filter(subjects), TopK = topK };
        using var request = Request(HttpMethod.Post, "/api/memories/search", subjects.Owner, ReadScope, body);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        var found = await ReadAsync<SearchMemoriesResponse>(response, ct);
        return new(
            [.. found.Items.Select(m => new RecalledMemory(m.Id, m.Text, ScopeOf(m, subjects), Math.Clamp(m.Score ?? 0, 0, 1)))],
            found.Degraded,
            response.Headers.TryGetValues(ExtractionHeader.Name, out var how) && how.Contains(ExtractionHeader.Rules, StringComparer.Ordinal));
    }

    public Task<AddMemoryResponse> AddAsync(OwnerId owner, AddMemoryRequest request, CancellationToken ct) =>
        SendAsync<AddMemoryResponse>(HttpMethod.Post, "/api/memories", owner, WriteScope, request, ct);

    /// <summary>Deletes a memory that <see cref="SearchAsync"/> could have found for the same subjects.</summary>
    /// <returns>False when these subjects have no such memory, also when the owner has it for others.</returns>
    public async Task<bool> DeleteAsync(MemorySubjects subjects, MemoryId id, CancellationToken ct)
    {
        var path = $"/api/memories/{id}";
        using var look = Request<object?>(HttpMethod.Get, path, subjects.Owner, ReadScope, null);
        using var found = await http.SendAsync(look, ct);
        if (found.StatusCode == HttpStatusCode.NotFound || !IsOf(await ReadAsync<MemoryItem>(found, ct), subjects))
            return false;
        using var request = Request<object?>(HttpMethod.Delete, path, subjects.Owner, WriteScope, null);
        using var response = await http.SendAsync(request, ct);
        if (response.StatusCode == HttpStatusCode.NotFound)
            return false;
        response.EnsureSuccessStatusCode();
        return true;
    }

    /// <summary>Everything that the owner keeps about one subject, from every place.</summary>
    public Task<ErasureReceipt> EraseAsync(OwnerId owner, MemoryScope subject, CancellationToken ct) =>
        SendAsync<ErasureReceipt>(HttpMethod.Post, "/api/subjects/erase", owner, WriteScope, subject, ct);

    private static JsonElement Filter(MemorySubjects subjects) => JsonSerializer.SerializeToElement(new JsonObject
    {
        ["OR"] = new JsonArray(
            new JsonObject { ["userId"] = subjects.UserId },
            new JsonObject { ["agentId"] = subjects.Agent },
            new JsonObject { ["sessionId"] = subjects.SessionId }),
    });

    /// <summary>The same as <see cref="Filter"/> says.</summary>
    private static bool IsOf(MemoryItem memory, MemorySubjects subjects) =>
        memory.UserId == subjects.UserId || memory.AgentId == subjects.Agent || memory.SessionId == subjects.SessionId;

    private static string ScopeOf(MemoryItem memory, MemorySubjects subjects) =>
        memory.SessionId == subjects.SessionId ? "session" : memory.AgentId == subjects.Agent ? "agent" : "user";

    private async Task<T> SendAsync<T>(HttpMethod method, string path, OwnerId owner, string[] scopes, object body, CancellationToken ct)
    {
        using var request = Request(method, path, owner, scopes, body);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        return await ReadAsync<T>(response, ct);
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken ct)
    {
        response.EnsureSuccessStatusCode();
        await using var content = await response.Content.ReadAsStreamAsync(ct);
        return await JsonSerializer.DeserializeAsync<T>(content, ContractJson.Lenient, ct)
            ?? throw new HttpRequestException("The memory service answered with null.");
    }

    private HttpRequestMessage Request<T>(HttpMethod method, string path, OwnerId owner, string[] scopes, T body)
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner.Value, scopes));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes<object>(body, ContractJson.Options));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        return request;
    }
}
