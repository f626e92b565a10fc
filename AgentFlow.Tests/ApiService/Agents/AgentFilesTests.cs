using AgentFlow.ApiService.Agents;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Agents;

public sealed class AgentFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("agentflow-agents-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void This_repositorys_definitions_are_read()
    {
        var agents = AgentFiles.Read(Path.Combine(AppContext.BaseDirectory, "agents", "configs"), Tools);

        var agent = Assert.Single(agents, a => a.Slug == AgentDefinition.Default);
        Assert.StartsWith("You are AgentFlow's assistant.", agent.Instructions, StringComparison.Ordinal);
        Assert.Equal(["*"], agent.Models);
    }

    [Theory]
    [InlineData("""{"slug":"default","instructions":"x","tols":[]}""", "could not be mapped")]
    [InlineData("""{"slug":"Bad Slug","instructions":"x"}""", "slug: found 'Bad Slug'. Use 1 to 64 of a-z, 0-9 and hyphens")]
    [InlineData("""{"slug":"default"}""", "instructions: found none")]
    [InlineData("""{"slug":"default","prompt":"../secret.md"}""", "prompt: found '../secret.md'")]
    [InlineData("""{"slug":"default","instructions":"x","models":[]}""", "models: found an empty list")]
    [InlineData("""{"slug":"default","instructions":"x","tools":[{"name":"launch"}]}""", "tools: found 'launch'. Known are calculate")]
    [InlineData("""{"slug":"default","instructions":"x","tools":[{"name":"calculate","policy":"maybe"}]}""", "JSON that does not fit")]
    [InlineData("""{"slug":"default","instructions":"x","limits":{"steps":0}}""", "limits: found 0. The field Steps must be between 1 and 50")]
    [InlineData("""{"slug":"other","instructions":"x"}""", "found no agent with the slug 'default'")]
    [InlineData("nonsense", "JSON that does not fit")]
    [InlineData("null", "found null")]
    [InlineData("""{"slug":"default","instructions":"x","slug":"other"}""", "JSON that does not fit")]
    [InlineData("""{"slug":"default","instructions":"x","prompt":"missing.md"}""", "prompt: found 'missing.md'. Name a file in the same folder")]
    [InlineData("""{"slug":"default","instructions":"x","models":[" "]}""", "models: found an empty list or name")]
    [InlineData("""{"slug":"default","instructions":"x","tools":[{"name":"calculate"},{"name":"calculate","policy":"deny"}]}""", "tools: found 'calculate' twice")]
    [InlineData("""{"slug":"default","instructions":"x","temperature":3}""", "temperature: found 3")]
    [InlineData("""{"slug":"default","instructions":"x","retrieval":{"topK":0}}""", "retrieval: found 0")]
    [InlineData("""{"slug":"default","instructions":"x","retrieval":{"collections":["7"]}}""", "JSON that does not fit")]
    [InlineData("""{"slug":"default","instructions":"x","memory":{"topK":51}}""", "memory: found 51")]
    [InlineData("""{"slug":"default","instructions":"x","limits":{"seconds":0}}""", "limits: found 0")]
    [InlineData("""{"slug":"default","instructions":"x","limits":{"outputTokens":1}}""", "limits: found 1")]
    [InlineData("""{"slug":"default","instructions":"x","name":""}""", "name: found 0 characters. Use 1 to 200.")]
    public void A_bad_definition_stops_the_start_and_says_why(string json, string expected)
    {
        File.WriteAllText(Path.Combine(_folder, "agent.json"), json);

        var e = Assert.Throws<SettingException>(() => AgentFiles.Read(_folder, Tools));

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.Contains(_folder, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_definitions_of_one_slug_and_one_that_is_too_long_stop_the_start()
    {
        File.WriteAllText(Path.Combine(_folder, "a.json"), """{"slug":"default","instructions":"x"}""");
        File.WriteAllText(Path.Combine(_folder, "b.json"), """{"slug":"default","instructions":"y"}""");
        Assert.Contains("found two definitions with the slug 'default'", Assert.Throws<SettingException>(() => AgentFiles.Read(_folder, Tools)).Message, StringComparison.Ordinal);

        File.WriteAllText(Path.Combine(_folder, "b.json"), $$"""{"slug":"other","instructions":"{{new string('x', 300_000)}}"}""");
        Assert.Contains("found more than 262144 bytes", Assert.Throws<SettingException>(() => AgentFiles.Read(_folder, Tools)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_service_does_not_start_with_a_bad_one()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "default.json"), """{"slug":"default","instructions":"x","limits":{"steps":0}}""", TestContext.Current.CancellationToken);

        var e = await Assert.ThrowsAnyAsync<Exception>(() => ApiHost.StartAsync(new() { ["Agents:Path"] = _folder }));

        Assert.Contains($"{Path.Combine(_folder, "default.json")}: limits: found 0.", e.Message, StringComparison.Ordinal);
    }

    private static readonly HashSet<string> Tools =
        ["search_documents", "search_memory", "remember", "forget", "current_time", "calculate", "fetch_url"];
}
