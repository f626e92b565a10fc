using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.MemoryService.Access;

/// <summary>The owner is a condition of every query, also where the database would not see to it by row-level security.</summary>
public sealed class OwnerConditionTests
{
    private const string Canary = "Zanzibar";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_row_level_security_nobody_reads_or_changes_what_is_anothers()
    {
        await using var host = await MemoryHost.StartAsync();
        await OpenAsync(host.ConnectionString);
        using var owner = await host.ClientAsync();
        using var thief = await host.ClientAsync();
        var id = (await owner.AddVerbatimAsync($"met Ada in {Canary}")).Items.Single().Id;
        (await owner.PatchAsJsonAsync($"/api/memories/{id}", new { text = $"met Ada in old {Canary}" }, Ct)).EnsureSuccessStatusCode();
        var before = await ExportAsync(owner);
        Assert.Contains(Canary, before, StringComparison.Ordinal);

        foreach (var path in (string[])
            [
                "/api/memories", $"/api/memories/{id}", $"/api/memories/{id}/history", "/api/memories?superseded=true&expired=true", "/api/memories?knownAt=2100-01-01T00:00:00Z", "/api/events", "/api/graph?userId=u",
                "/api/review", "/api/keys", $"/v1/memories/{id}/", $"/v1/memories/{id}/history/", "/v1/memories/?user_id=u", "/v1/entities/", "/v1/entities/filters/", "/v1/events/", "/memories?user_id=u", $"/memories/{id}", "/entities",
            ])
        {
            using var response = await thief.GetAsync(path, Ct);
            Assert.DoesNotContain(Canary, await response.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        }

        foreach (var (path, body) in ((string, string)[])
            [
                ("/api/memories/search", $$$"""{"query":"{{{Canary}}}","filter":{"userId":"u"}}"""), ("/api/memories/search", $$"""{"query":"{{Canary}}","filter":{"userId":"u"},"knownAt":"2100-01-01T00:00:00Z"}"""),
                ("/api/context", """{"query":"Ada","filter":{"userId":"u"}}"""), ("/api/export", "{}"), ("/v3/memories/search/", """{"query":"Ada","filters":{"user_id":"u"}}"""), ("/v1/summary/", """{"filters":{"user_id":"u"}}"""),
                ("/api/memories/search", $$"""{"query":"Ada","filter":{"userId":"u"},"explain":true,"explainId":"{{id}}"}"""), ("/api/subjects/erase", """{"userId":"u"}"""), ("/reset", "{}"),
                ("/api/memories/batch", $$$"""{"update":[{"id":"{{{id}}}","patch":{"text":"mine"}}],"delete":["{{{id}}}"]}"""), ($"/api/review/{id}", """{"decision":"approve"}"""), ("/api/import", before.Replace("old", "new", StringComparison.Ordinal)),
            ])
        {
            using var response = await thief.PostTextAsync(path, body);
            var answer = await response.Content.ReadAsStringAsync(Ct);
            Assert.True((int)response.StatusCode < 500, $"{path}: {(int)response.StatusCode} {answer}");
            Assert.DoesNotContain(Canary, answer, StringComparison.Ordinal);
        }

        foreach (var path in (string[])[$"/api/memories/{id}", "/api/memories?userId=u", $"/v1/memories/{id}/", "/v1/memories/?user_id=u", "/v2/entities/user/u/", $"/memories/{id}"])
        {
            using var deleted = await thief.DeleteAsync(path, Ct);
            Assert.True((int)deleted.StatusCode < 500, path);
        }

        Assert.Equal(before, await ExportAsync(owner));
        Assert.Equal(id, (await owner.SearchAsync(Canary)).Items.Single().Id);
    }

    private static async Task<string> ExportAsync(HttpClient client)
    {
        var export = await MemoryCalls.ReadAsync<MemoryExport>(await client.PostTextAsync("/api/export", "{}"));
        return JsonSerializer.Serialize(export with { ExportedAt = DateTimeOffset.UnixEpoch }, AgentFlow.Contracts.ContractJson.Options);
    }

    /// <summary>Takes the database's own wall down.</summary>
    private static async Task OpenAsync(string connection)
    {
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(
            """
            do $$
            declare name text;
            begin
                for name in select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'agentflow_memory' loop
                    execute format('alter table %s disable row level security', name);
                end loop;
            end
            $$
            """);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
