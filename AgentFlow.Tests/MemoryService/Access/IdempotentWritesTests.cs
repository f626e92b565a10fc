using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Access;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Access;

/// <summary>Every write of the memory service may be repeated under its <c>Idempotency-Key</c>.</summary>
public sealed class IdempotentWritesTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    /// <summary>What changes nothing although it is sent as a POST.</summary>
    private static readonly string[] Reads = ["POST /api/memories/search", "POST /api/context", "POST /api/export"];

    /// <summary>Mem0's routes keep Mem0's behaviour, which knows no such key.</summary>
    private static readonly string[] Mem0 = ["/v1/", "/v2/", "/v3/", "/memories", "/search", "/entities", "/reset", "/configure", "/generate-instructions", "/api/v1/"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void Every_route_that_writes_takes_the_key_or_is_listed_here_with_its_reason()
    {
        var writes = RouteTable.Of(fixture.Host.App).Where(route => route.Method is "POST" or "PUT" or "PATCH" or "DELETE").ToList();
        var without = writes.Where(route => route.Endpoint.Metadata.GetMetadata<IdempotentRoute>() is null).Select(route => route.Name)
            .Where(name => !Reads.Contains(name) && !Mem0.Any(prefix => name[(name.IndexOf(' ', StringComparison.Ordinal) + 1)..].StartsWith(prefix, StringComparison.Ordinal)));

        Assert.Empty(without);
        Assert.True(writes.Count > 20 && writes.Count(route => route.Endpoint.Metadata.GetMetadata<IdempotentRoute>() is not null) >= 9, $"{writes.Count} writes");
    }

    [Fact]
    public async Task A_repeated_import_and_erasure_give_the_first_answer()
    {
        using var source = await fixture.Host.ClientAsync();
        await source.AddVerbatimAsync("The boat is moored at the old pier");
        var export = await (await source.PostTextAsync("/api/export", "{}")).Content.ReadAsStringAsync(Ct);
        using var client = await fixture.Host.ClientAsync();

        var first = await SendAsync(client, "/api/import", export);
        Assert.Equal((HttpStatusCode.OK, 1), (first.Status, JsonSerializer.Deserialize<ImportReport>(first.Body, ContractJson.Options)!.Imported));
        Assert.Equal(first, await SendAsync(client, "/api/import", export));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await SendAsync(client, "/api/import", export.Replace("boat", "ship", StringComparison.Ordinal))).Status);

        var erased = await SendAsync(client, "/api/subjects/erase", """{"userId":"u"}""");
        Assert.Equal((HttpStatusCode.OK, 1), (erased.Status, JsonSerializer.Deserialize<ErasureReceipt>(erased.Body, ContractJson.Options)!.Removed["memories"]));
        Assert.Equal(erased, await SendAsync(client, "/api/subjects/erase", """{"userId":"u"}"""));
    }

    [Fact]
    public async Task A_repeated_key_is_made_once_and_its_secret_is_neither_kept_nor_shown_again()
    {
        var (owner, key) = await fixture.Host.CreateKeyAsync();
        using var client = fixture.Host.Client(key);
        const string Body = """{"name":"laptop"}""";

        var first = await SendAsync(client, "/api/keys", Body);
        var made = JsonSerializer.Deserialize<CreatedMemoryKey>(first.Body, ContractJson.Options)!;
        var again = await SendAsync(client, "/api/keys", Body);
        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.Conflict, first.Location), (first.Status, again.Status, again.Location));
        Assert.Equal("secret_already_shown", JsonElement.Parse(again.Body).GetProperty("code").GetString());

        // As if the process had died before the answer was kept.
        var database = fixture.Host.Get<Database>().ForOwner(owner);
        await database.ExecuteAsync("update idempotency_keys set status = null, body = null, locked_until = now() - interval '1 s' where owner_id = $1", [owner], Ct);
        Assert.Equal("secret_already_shown", JsonElement.Parse((await SendAsync(client, "/api/keys", Body)).Body).GetProperty("code").GetString());

        Assert.Equal(2, (await client.GetFromJsonAsync<Page<MemoryKey>>("/api/keys", ContractJson.Options, Ct))!.Items.Count);
        var kept = await database.QueryAsync("select convert_from(coalesce(body, ''::bytea), 'UTF8') from idempotency_keys where owner_id = $1", [owner], row => row.GetString(0), Ct);
        Assert.All(kept, body => Assert.DoesNotContain(made.Secret, body, StringComparison.Ordinal));
        Assert.Single(kept);

        using var deletion = new HttpRequestMessage(HttpMethod.Delete, first.Location);
        Assert.Equal(HttpStatusCode.NoContent, (await client.SendAsync(deletion, Ct)).StatusCode);
    }

    private static async Task<(HttpStatusCode Status, string Body, string? Location)> SendAsync(HttpClient client, string path, string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Add("Idempotency-Key", "repeat-1");
        using var response = await client.SendAsync(request, Ct);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Ct), response.Headers.Location?.OriginalString);
    }
}
