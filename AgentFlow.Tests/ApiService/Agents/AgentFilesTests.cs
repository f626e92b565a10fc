using AgentFlow.ApiService.Agents;
using AgentFlow.ServiceDefaults.Settings;

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
    public void A_bad_definition_stops_the_start_and_says_why(string json, string expected)
    {
        File.WriteAllText(Path.Combine(_folder, "agent.json"), json);

        var e = Assert.Throws<SettingException>(() => AgentFiles.Read(_folder, Tools));

        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
        Assert.Contains(_folder, e.Message, StringComparison.Ordinal);
    }

    private static readonly HashSet<string> Tools =
        ["search_documents", "search_memory", "remember", "forget", "current_time", "calculate", "fetch_url"];
}
