using System.Text.Json;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.Retrieval.Filters;

/// <summary>Postgres is the oracle: whatever it says, memory must say as well.</summary>
public sealed class FilterAgreementTests
{
    private const int Records = 200;
    private const int Filters = 300;

    [Fact]
    public async Task Memory_agrees_with_Postgres_on_random_filters()
    {
        var ct = TestContext.Current.CancellationToken;
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var records = Enumerable.Range(0, Records).Select(_ => FilterFixture.RandomRecord(random)).ToList();
        await using var source = NpgsqlDataSource.Create(await PostgresCluster.Shared.CreateDatabaseAsync());
        await FillAsync(source, records, ct);
        var selective = 0;
        for (var i = 0; i < Filters; i++)
        {
            var json = FilterFixture.RandomFilter(random).ToJsonString();
            var filter = FilterParser.Parse(JsonDocument.Parse(json).RootElement.Clone(), FilterFixture.Schema, out var error);
            Assert.True(error is null, $"seed {seed}: {json}: {error}");
            if (filter is null)
                continue;
            var expected = await SelectAsync(source, filter, ct);
            var actual = records.Where(filter.Matches).Select(record => record["id"].GetGuid()).ToHashSet();
            if (!expected.SetEquals(actual))
                Assert.Fail($"seed {seed}: {json}: {Difference(records, expected, actual)}");
            selective += expected.Count is > 0 and < Records ? 1 : 0;
        }

        Assert.InRange(selective, Filters / 4, Filters);
    }

    [Fact]
    public async Task Every_character_folds_its_case_as_the_pattern_for_Postgres_does()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var source = NpgsqlDataSource.Create(await PostgresCluster.Shared.CreateDatabaseAsync());
        var cased = Enumerable.Range(1, char.MaxValue).Select(code => (char)code).Where(c => char.IsLetter(c) && FilterCase.Variants(c).Length > 1).Select(c => c.ToString()).ToArray();
        var records = cased.Select(c => new Dictionary<string, JsonElement>
        {
            ["id"] = JsonSerializer.SerializeToElement(Guid.CreateVersion7()),
            ["metadata"] = JsonSerializer.SerializeToElement(new { c }),
        }).ToList();
        await FillAsync(source, records, ct);
        foreach (var c in cased.Where((_, i) => i % 97 == 0).Concat(["ß", "İ", "ς", "Σ", "K"]))
        {
            var filter = new FilterExpression.Contains(new FilterField(null, ["c"]), c, IgnoreCase: true);
            var expected = await SelectAsync(source, filter, ct);
            Assert.Equal(expected, records.Where(filter.Matches).Select(record => record["id"].GetGuid()).ToHashSet());
            Assert.Equal(FilterCase.Variants(c[0]).Length > 1 ? FilterCase.Variants(c[0]).Count(char.IsLetter) : 0, expected.Count);
        }
    }

    internal static async Task FillAsync(NpgsqlDataSource source, IReadOnlyList<Dictionary<string, JsonElement>> records, CancellationToken ct)
    {
        await using var create = source.CreateCommand(
            "create table records (id uuid primary key, user_id text, created_at timestamptz, categories text[], version int, immutable boolean, metadata jsonb)");
        await create.ExecuteNonQueryAsync(ct);
        await using var insert = source.CreateCommand(
            """
            insert into records select (r ->> 'id')::uuid, r ->> 'user_id', (r ->> 'created_at')::timestamptz,
                case when r ? 'categories' then array(select jsonb_array_elements_text(r -> 'categories')) end, (r ->> 'version')::int, (r ->> 'immutable')::boolean, r -> 'metadata'
            from jsonb_array_elements($1::jsonb) as rows (r)
            """);
        insert.Parameters.Add(new NpgsqlParameter { Value = JsonSerializer.Serialize(records) });
        await insert.ExecuteNonQueryAsync(ct);
    }

    internal static async Task<HashSet<Guid>> SelectAsync(NpgsqlDataSource source, FilterExpression filter, CancellationToken ct)
    {
        var parameters = new List<object?>();
        var where = FilterSql.Build(filter, FilterFixture.Schema, parameters);
        await using var select = source.CreateCommand($"select id, {where} from records");
        foreach (var parameter in parameters)
            select.Parameters.Add(new NpgsqlParameter { Value = parameter });
        var ids = new HashSet<Guid>();
        await using var reader = await select.ExecuteReaderAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            Assert.False(await reader.IsDBNullAsync(1, ct), $"null from {where}");
            if (reader.GetBoolean(1))
                ids.Add(reader.GetGuid(0));
        }

        return ids;
    }

    private static string Difference(List<Dictionary<string, JsonElement>> records, HashSet<Guid> expected, HashSet<Guid> actual)
    {
        var id = expected.Except(actual).Concat(actual.Except(expected)).First();
        return $"{(expected.Contains(id) ? "only Postgres" : "only memory")} has {JsonSerializer.Serialize(records.First(record => record["id"].GetGuid() == id))}";
    }
}
