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

    public IReadOnlyList<ToolSummary> List() =>
    [
        .. _sources.SelectMany(source => source.Tools).DistinctBy(tool => tool.Name, StringComparer.Ordinal).OrderBy(tool => tool.Name, StringComparer.Ordinal)
            .Select(tool => new ToolSummary(tool.Name.Replace("__", ".", StringComparison.Ordinal), tool.HasSideEffects, tool.Type, tool.Function.Description)),
    ];

    /// <summary>Providers take only letters, digits, hyphens and underscores in a function's name.</summary>
    public static string ToFunctionName(string name) => name.Replace(".", "__", StringComparison.Ordinal);
}

/// <summary>A tool as <c>GET /api/tools</c> shows it.</summary>
/// <param name="Name">As an agent's definition names it.</param>
/// <param name="HasSideEffects">It changes something, or sends something out.</param>
/// <param name="Type">function, or the kind of its source.</param>
internal sealed record ToolSummary(string Name, bool HasSideEffects, string Type, string? Description = null);
