using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Runs;

namespace AgentFlow.ApiService.Tools;

/// <summary>All tools of all sources; gives a run those that its agent was granted. Thread-safe.</summary>
internal sealed class ToolCatalog(IEnumerable<IToolSource> sources)
{
    private readonly IToolSource[] _sources = [.. sources];

    public ToolSession Open(RunContext run, RunWriter writer)
    {
        var granted = new Dictionary<string, (Tool, ToolPolicyKind)>(StringComparer.Ordinal);
        if (run.SelectedText is null)
        {
            var tools = _sources.SelectMany(s => s.Tools).DistinctBy(t => t.Name, StringComparer.Ordinal).ToDictionary(t => t.Name, StringComparer.Ordinal);
            foreach (var grant in run.Agent.Tools)
            {
                if (tools.TryGetValue(ToFunctionName(grant.Name), out var tool))
                    granted[tool.Name] = (tool, grant.Policy);
            }
        }

        return new ToolSession(run, writer, granted);
    }

    /// <summary>Providers take only letters, digits, hyphens and underscores in a function's name.</summary>
    public static string ToFunctionName(string name) => name.Replace(".", "__", StringComparison.Ordinal);
}
