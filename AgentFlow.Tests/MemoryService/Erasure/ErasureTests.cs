using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Erasure;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.MemoryService.Erasure;

public sealed class ErasureTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_erased_subject_is_nowhere_any_more_and_the_receipt_says_so()
    {
        const string Canary = "zanzibarcanary";
        using var client = await fixture.Host.ClientAsync();
        client.DefaultRequestHeaders.Add("Idempotency-Key", Guid.NewGuid().ToString("N"));
        var id = (await client.AddVerbatimAsync($"Zara Quill keeps a {Canary}", "zara")).Items.Single().Id;
        client.DefaultRequestHeaders.Remove("Idempotency-Key");
        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = $"Zara Quill sold the {Canary}" }, Ct)).EnsureSuccessStatusCode();
        var deleted = (await client.AddVerbatimAsync($"another {Canary}", "zara")).Items.Single().Id;
        (await client.DeleteAsync($"/api/memories/{deleted}", Ct)).EnsureSuccessStatusCode();
        (await client.PostTextAsync("/v1/exports/", """{"schema":{},"filters":{"user_id":"zara"}}""")).EnsureSuccessStatusCode();
        await client.AddVerbatimAsync("stays", "other");
        Assert.NotEmpty(await PlacesAsync(Canary));

        var receipt = await MemoryCalls.ReadAsync<ErasureReceipt>(await client.PostTextAsync("/api/subjects/erase", """{"userId":"zara"}"""));

        Assert.True(receipt.Complete, string.Join(", ", receipt.Remaining));
        Assert.All(receipt.Remaining, place => Assert.Equal(0, place.Value));
        Assert.Equal((2L, 1L, 1L, 4L), (receipt.Removed["memories"], receipt.Removed["vectors"], receipt.Removed["versions"], receipt.Removed["history"]));
        Assert.Empty(await PlacesAsync(Canary));
        Assert.Empty(await PlacesAsync("Zara Quill"));
        Assert.Equal(["stays"], (await client.ListAsync()).Items.Select(item => item.Text));
        Assert.Equal((400, "no_scope"), await client.PostTextAsync("/api/subjects/erase", "{}").RefusalAsync());
    }

    [Fact]
    public async Task A_subject_of_more_memories_than_one_step_erases_is_taken_in_and_erased_whole()
    {
        const int Count = ErasureStore.StepSize + 100;
        using var client = await fixture.Host.ClientAsync();
        await client.AddVerbatimAsync("stays", "other");
        var export = JsonSerializer.Serialize(new { results = Enumerable.Range(0, Count + 2).Select(i => new { memory = $"Item {i % Count} of the long list", user_id = "many" }) });
        Assert.Equal(new ImportReport(Count, 2, 0), await MemoryCalls.ReadAsync<ImportReport>(await client.PostTextAsync("/api/import", export)));
        Assert.Equal(50, (await client.SearchAsync(new SearchMemoriesRequest { Query = "long list", Filter = JsonElement.Parse("""{"userId":"many"}"""), TopK = 50 })).Items.Count);

        var receipt = await MemoryCalls.ReadAsync<ErasureReceipt>(await client.PostTextAsync("/api/subjects/erase", """{"userId":"many"}"""));

        Assert.True(receipt.Complete, string.Join(", ", receipt.Remaining));
        Assert.Equal((Count, Count, Count), (receipt.Removed["memories"], receipt.Removed["vectors"], receipt.Removed["history"]));
        Assert.Equal(["stays"], (await client.ListAsync()).Items.Select(item => item.Text));
        Assert.Empty((await client.SearchAsync("long list", """{"userId":"many"}""")).Items);
    }

    /// <summary>Every text, JSON or byte column of every table that holds the word.</summary>
    private async Task<List<string>> PlacesAsync(string word)
    {
        await using var connection = new NpgsqlConnection(fixture.Host.ConnectionString);
        await connection.OpenAsync(Ct);
        var columns = new List<(string Table, string Column)>();
        await using (var command = new NpgsqlCommand(
            "select table_name, column_name from information_schema.columns where table_schema = 'agentflow_memory' and data_type in ('text', 'jsonb', 'bytea', 'ARRAY')", connection))
        await using (var reader = await command.ExecuteReaderAsync(Ct))
        {
            while (await reader.ReadAsync(Ct))
                columns.Add((reader.GetString(0), reader.GetString(1)));
        }

        var hex = Convert.ToHexStringLower(Encoding.UTF8.GetBytes(word));
        var places = new List<string>();
        foreach (var (table, column) in columns)
        {
            await using var count = new NpgsqlCommand(
                $"select count(*) from agentflow_memory.\"{table}\" where strpos(lower(\"{column}\"::text), $1) > 0 or strpos(\"{column}\"::text, $2) > 0", connection);
            count.Parameters.Add(new NpgsqlParameter { Value = word.ToLowerInvariant() });
            count.Parameters.Add(new NpgsqlParameter { Value = hex });
            if ((long)(await count.ExecuteScalarAsync(Ct))! > 0)
                places.Add($"{table}.{column}");
        }

        return places;
    }
}
