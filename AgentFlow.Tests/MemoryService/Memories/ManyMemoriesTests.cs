using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.MemoryService.Memories;

/// <summary>An owner with more memories than any page, step or former limit holds.</summary>
public sealed class ManyMemoriesTests
{
    private const int Count = 10_001;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task More_than_ten_thousand_memories_are_searched_in_the_past_exported_imported_and_deleted_whole()
    {
        await using var host = await MemoryHost.StartAsync();
        var (owner, key) = await host.CreateKeyAsync();
        using var client = host.Client(key);
        await FillAsync(host.ConnectionString, owner);
        var then = DateTimeOffset.UtcNow.AddYears(-1);

        // The oldest of them, which the newest 10,000 do not hold.
        var found = await client.SearchAsync(new SearchMemoriesRequest { Query = "zanzibar", Filter = JsonElement.Parse("""{"userId":"many"}"""), KnownAt = then, TopK = 1 });
        Assert.Equal("note 1 zanzibar", Assert.Single(found.Items).Text);
        Assert.Null(found.Degraded);

        using var refused = await client.PostTextAsync("/v1/exports/", """{"schema":{},"filters":{"user_id":"many"}}""");
        Assert.Equal((413, "too_many_memories"), ((int)refused.StatusCode, JsonElement.Parse(await refused.Content.ReadAsStringAsync(Ct)).GetProperty("code").GetString()));

        var export = await (await client.PostTextAsync("/api/export", "{}")).Content.ReadAsStringAsync(Ct);
        await using var elsewhere = await MemoryHost.StartAsync();
        using var target = await elsewhere.ClientAsync();
        Assert.Equal(new ImportReport(Count, 0, 0), await MemoryCalls.ReadAsync<ImportReport>(await target.PostTextAsync("/api/import", export)));
        Assert.Equal(Memories(export), Memories(await (await target.PostTextAsync("/api/export", "{}")).Content.ReadAsStringAsync(Ct)));

        // Deleted while they are in the index, whatever their state is.
        Assert.Equal("note 1 zanzibar", (await client.SearchAsync("zanzibar", """{"userId":"many"}""", topK: 1)).Items[0].Text);
        await ExecuteAsync(host.ConnectionString, "update agentflow_memory.memories set status = case when text like '%7' then 1 else 2 end where text like '%7' or text like '%8'");
        (await client.DeleteAsync("/v1/memories/?user_id=many", Ct)).EnsureSuccessStatusCode();
        Assert.Empty((await client.SearchAsync("zanzibar", """{"userId":"many"}""")).Items);
        Assert.Empty((await client.ListAsync("?userId=many&superseded=true&expired=true")).Items);
        Assert.Empty(Memories(await (await client.PostTextAsync("/api/export", "{}")).Content.ReadAsStringAsync(Ct)));
        Assert.Equal(Count, await CountAsync(host.ConnectionString, $"select count(distinct memory_id) from agentflow_memory.memory_history where event = {(short)MemoryChange.Deleted} and old_text <> ''"));
    }

    [Fact]
    public async Task More_than_ten_thousand_subjects_are_all_named()
    {
        await using var host = await MemoryHost.StartAsync();
        var (owner, key) = await host.CreateKeyAsync();
        using var client = host.Client(key);
        await FillAsync(host.ConnectionString, owner);
        await ExecuteAsync(host.ConnectionString, "update agentflow_memory.memories set user_id = 'user ' || text, agent_id = case when text like '% 7' then 'bot' end");
        await client.AddAsync(new AddMemoryRequest { Text = "of a session", SessionId = "s", AppId = "shop", Infer = false });

        var filters = JsonElement.Parse(await client.GetStringAsync("/v1/entities/filters/", Ct));
        Assert.Equal(Count, filters.GetProperty("users").EnumerateArray().Select(name => name.GetString()).Distinct().Count());
        Assert.Equal(("bot", "shop", "s"), (filters.GetProperty("agents")[0].GetString(), filters.GetProperty("apps")[0].GetString(), filters.GetProperty("runs")[0].GetString()));
        var entities = JsonElement.Parse(await client.GetStringAsync("/entities", Ct)).EnumerateArray().Select(one => $"{one.GetProperty("type").GetString()} {one.GetProperty("id").GetString()}").ToList();
        Assert.Equal((Count + 2, Count + 2), (entities.Count, entities.Distinct().Count()));
        Assert.DoesNotContain("app shop", entities);

        using var stranger = await host.ClientAsync();
        Assert.Equal("""{"users":[],"agents":[],"apps":[],"runs":[]}""", await stranger.GetStringAsync("/v1/entities/filters/", Ct));
        Assert.Equal("[]", await stranger.GetStringAsync("/entities", Ct));
    }

    [Fact]
    public async Task A_search_of_the_past_says_when_it_did_not_look_at_everything()
    {
        await using var host = await MemoryHost.StartAsync(settings: [("Memory:MaxPastMemories", "3")]);
        using var client = await host.ClientAsync();
        foreach (var number in (int[])[1, 2, 3])
            await client.AddVerbatimAsync($"tulip {number}");
        Assert.Equal(["tulip 1", "tulip 2", "tulip 3"], (await PastAsync()).Items.Select(item => item.Text).Order(StringComparer.Ordinal));
        Assert.Null((await PastAsync()).Degraded);

        await client.AddVerbatimAsync("tulip 4");
        Assert.Equal(["tulip 2", "tulip 3", "tulip 4"], (await PastAsync()).Items.Select(item => item.Text).Order(StringComparer.Ordinal));
        Assert.Equal(["past_truncated"], (await PastAsync()).Degraded);

        Task<SearchMemoriesResponse> PastAsync() =>
            client.SearchAsync(new SearchMemoriesRequest { Query = "tulip", Filter = JsonElement.Parse("""{"userId":"u"}"""), KnownAt = DateTimeOffset.UtcNow.AddDays(1) });
    }

    private static List<string> Memories(string export) => [.. JsonElement.Parse(export).GetProperty("memories").EnumerateArray().Select(memory => memory.GetRawText())];

    private static Task FillAsync(string connection, Guid owner) => ExecuteAsync(
        connection,
        $"""
        insert into agentflow_memory.memories (id, owner_id, user_id, subject_hash, kind, text, content_hash, trust, created_at, updated_at, valid_from)
        select gen_random_uuid(), '{owner}', 'many', 'many', 0, 'note ' || i || case i when 1 then ' zanzibar' else '' end, int4send(i), 0,
            now() - interval '2 years', now() - interval '2 years', now() - interval '2 years'
        from generate_series(1, {Count}) i;
        insert into agentflow_memory.memory_history (owner_id, operation_id, memory_id, version, event, new_text, user_id, at)
        select owner_id, id, id, 1, {(short)MemoryChange.Added}, text, user_id, created_at from agentflow_memory.memories
        """);

    private static async Task ExecuteAsync(string connection, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Ct);
    }

    private static async Task<long> CountAsync(string connection, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync(Ct))!;
    }
}
