using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Agents;

/// <summary>Finds the agent and the model for a run: the owner's own definitions first, then those of the installation's files. Thread-safe.</summary>
internal sealed class AgentCatalog(IReadOnlyList<AgentDefinition> files, ModelCatalog models)
{
    private readonly Dictionary<string, AgentDefinition> _files = files.ToDictionary(a => a.Slug, StringComparer.Ordinal);

    /// <summary>Definitions of the installation's files, by slug.</summary>
    public IReadOnlyDictionary<string, AgentDefinition> Files => _files;

    /// <summary>See <see cref="ChooseAgent"/>.</summary>
    public ValueTask<ChosenAgent> ChooseAsync(OwnerId owner, string? slug, string? model, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var agent = _files.GetValueOrDefault(slug ?? AgentDefinition.Default) ?? throw UnknownAgent();
        return ValueTask.FromResult(new ChosenAgent(agent, models.Choose(agent, model)));
    }

    private static ProblemException UnknownAgent() => new(StatusCodes.Status404NotFound, "agent_not_found", "There is no such agent.");
}
