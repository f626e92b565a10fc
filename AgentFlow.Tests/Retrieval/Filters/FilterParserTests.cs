using System.Text.Json;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Tests.Retrieval.Filters;

public sealed class FilterParserTests
{
    /// <summary>The 21 cases that Mem0's own stores get partly wrong, over 39 records (mem0's documentation names the forms).</summary>
    public static TheoryData<string, Func<int, bool>> MemoryFilterCases => new()
    {
        { """{"cat": "a"}""", n => n % 4 == 0 },
        { """{"cat": {"eq": "a"}}""", n => n % 4 == 0 },
        { """{"cat": {"ne": "a"}}""", n => n % 4 != 0 },
        { """{"cat": {"in": ["a","b"]}}""", n => n % 4 < 2 },
        { """{"cat": {"nin": ["a","b"]}}""", n => n % 4 >= 2 },
        { """{"n": {"gte": 30}}""", n => n >= 30 },
        { """{"n": {"gte": 10, "lt": 20}}""", n => n is >= 10 and < 20 },
        { """{"AND": [{"n": {"gte": 10}}, {"n": {"lt": 20}}]}""", n => n is >= 10 and < 20 },
        { """{"AND": [{"n": {"gte": 10}}, {"cat": "a"}]}""", n => n >= 10 && n % 4 == 0 },
        { """{"OR": [{"cat": "a"}, {"cat": "b"}]}""", n => n % 4 < 2 },
        { """{"NOT": [{"cat": "a"}]}""", n => n % 4 != 0 },
        { """{"NOT": [{"cat": "a"}, {"cat": "b"}]}""", n => n % 4 >= 2 },
        { """{"AND": [{"OR": [{"cat": "a"}, {"cat": "b"}]}, {"n": {"lt": 20}}]}""", n => n % 4 < 2 && n < 20 },
        { """{"AND": [{"n": {"lt": 20}}], "OR": [{"cat": "a"}, {"cat": "b"}]}""", n => n % 4 < 2 && n < 20 },
        { """{"NOT": {"cat": "a"}}""", n => n % 4 != 0 },
        { """{"opt": "*"}""", n => n % 2 == 1 },
        { """{"tag": {"contains": "ag3"}}""", n => $"Tag{n}".Contains("ag3", StringComparison.Ordinal) },
        { """{"tag": {"icontains": "TAG3"}}""", n => $"Tag{n}".Contains("ag3", StringComparison.Ordinal) },
        { """{"metadata": {"cat": "a"}}""", n => n % 4 == 0 },
        { """{"created_at": {"gte": "2020-01-01"}}""", _ => true },
        { """{"createdAt": {"gte": "2020-01-01"}}""", _ => true },
    };

    [Theory]
    [MemberData(nameof(MemoryFilterCases))]
    public void Memory_filters_match_what_they_say(string json, Func<int, bool> expected)
    {
        var filter = FilterFixture.Parse(json);
        Assert.Equal(Enumerable.Range(0, 39).Where(expected), Enumerable.Range(0, 39).Where(n => filter.Matches(Item(n))));
    }

    [Theory]
    [InlineData("""{"n": {"above": 1}}""", "n.above", "unknown operator")]
    [InlineData("""{"AND": [{"cat": "a"}, {"OR": [{"n": {"gte": "soon"}}]}]}""", "AND[1].OR[0].n.gte", "date is expected")]
    [InlineData("""{"AND": []}""", "AND", "empty group")]
    [InlineData("""{"OR": [{}]}""", "OR[0]", "empty condition")]
    [InlineData("""{"OR": "x"}""", "OR", "list of objects")]
    [InlineData("""["x"]""", "", "object is expected")]
    [InlineData("""{"user_id": 5}""", "user_id", "is text")]
    [InlineData("""{"user_id": {"gt": "a"}}""", "user_id.gt", "no order")]
    [InlineData("""{"id": "x"}""", "id", "UUID")]
    [InlineData("""{"immutable": "yes"}""", "immutable", "true or false")]
    [InlineData("""{"cat": {"in": "a"}}""", "cat.in", "list is expected")]
    [InlineData("""{"cat": {"in": [{"x": 1}]}}""", "cat.in[0]", "is expected")]
    [InlineData("""{"cat": {}}""", "cat", "operator is expected")]
    [InlineData("""{"cat": {"contains": ""}}""", "cat.contains", "empty text")]
    [InlineData("""{"cat": "a\u0000b"}""", "cat", "U+0000")]
    [InlineData("""{"cat": "\ud800"}""", "cat", "not valid Unicode")]
    [InlineData("""{"n": {"gt": 1, "gte": 2}}""", "n.gte", "already a bound")]
    [InlineData("""{"n": {"gt": 1, "lt": "2026-01-01"}}""", "n", "different types")]
    [InlineData("""{"n": 1e400}""", "n", "too large")]
    [InlineData("""{"a..b": 1}""", "a..b", "key is empty")]
    [InlineData("""{"opt": {"exists": 1}}""", "opt.exists", "true or false")]
    [InlineData("""{"should": []}""", "should", "no operator here")]
    [InlineData("""{"AND": [{"must_not": [{"key": "cat"}]}]}""", "AND[0].must_not", "no operator here")]
    [InlineData("""{"$where": "1"}""", "$where", "no operator here")]
    [InlineData("""{"owner_id": "019aa000-0000-7000-8000-000000000000"}""", "owner_id", "the owner is not part of a filter")]
    public void A_wrong_filter_is_refused_with_its_place(string json, string place, string message)
    {
        Assert.Null(FilterParser.Parse(JsonDocument.Parse(json).RootElement, FilterFixture.Schema, out var error));
        Assert.Equal(place, error?.Place);
        Assert.Contains(message, error?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Groups_nest_eight_deep_and_no_deeper()
    {
        Assert.NotNull(FilterFixture.Parse(Nested(8)));
        Assert.Null(FilterParser.Parse(JsonDocument.Parse(Nested(9)).RootElement, FilterFixture.Schema, out var error));
        Assert.Equal("AND[0].OR[0].AND[0].OR[0].AND[0].OR[0].AND[0].OR[0].AND", error?.Place);
    }

    [Fact]
    public void No_condition_is_no_error()
    {
        Assert.Null(FilterParser.Parse(JsonDocument.Parse("{}").RootElement, FilterFixture.Schema, out var error));
        Assert.Null(error);
    }

    [Theory]
    [InlineData("""{"user_id": "u"}""", true)]
    [InlineData("""{"user_id": {"in": ["u", "v"]}}""", true)]
    [InlineData("""{"AND": [{"cat": "a"}, {"user_id": "u"}]}""", true)]
    [InlineData("""{"OR": [{"id": "019aa000-0000-7000-8000-000000000000"}, {"user_id": "u"}]}""", true)]
    [InlineData("""{"OR": [{"cat": "a"}, {"user_id": "u"}]}""", false)]
    [InlineData("""{"NOT": {"user_id": "u"}}""", false)]
    [InlineData("""{"user_id": {"ne": "u"}}""", false)]
    [InlineData("""{"user_id": "*"}""", false)]
    [InlineData("""{"metadata": {"user_id": "u"}}""", false)]
    public void Only_a_named_value_binds_a_subject(string json, bool binds) => Assert.Equal(binds, FilterFixture.Parse(json).Binds("user_id", "id"));

    private static string Nested(int depth)
    {
        var filter = """{"cat": "a"}""";
        for (var level = depth; level > 0; level--)
            filter = $$"""{"{{(level % 2 == 1 ? "AND" : "OR")}}": [{{filter}}]}""";
        return filter;
    }

    private static Dictionary<string, JsonElement> Item(int n)
    {
        var metadata = new Dictionary<string, object> { ["cat"] = "abcd"[n % 4].ToString(), ["n"] = n, ["tag"] = $"Tag{n}" };
        if (n % 2 == 1)
            metadata["opt"] = "x";
        return new Dictionary<string, JsonElement>
        {
            ["created_at"] = JsonSerializer.SerializeToElement("2026-11-20T10:00:00Z"),
            ["metadata"] = JsonSerializer.SerializeToElement(metadata),
        };
    }
}
