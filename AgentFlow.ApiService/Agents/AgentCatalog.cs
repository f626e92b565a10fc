using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Agents;

/// <summary>Finds the agent and the model for a run: the owner's own definitions first, then those of the installation's files. Thread-safe.</summary>
internal sealed class AgentCatalog(IReadOnlyList<AgentDefinition> files, AgentStore store, ModelCatalog models)
{
    private readonly Dictionary<string, AgentDefinition> _files = files.ToDictionary(a => a.Slug, StringComparer.Ordinal);

    /// <summary>Definitions of the installation's files, by slug.</summary>
    public IReadOnlyDictionary<string, AgentDefinition> Files => _files;

    /// <summary>See <see cref="ChooseAgent"/>. One round trip. Where the account's default is gone, the installation's answers.</summary>
    public async ValueTask<ChosenAgent> ChooseAsync(OwnerId owner, string? slug, string? model, CancellationToken ct)
    {
        var (name, version, own) = slug is null ? await store.FindDefaultAsync(owner, ct) : await FindNamedAsync(owner, slug, ct);
        var agent = own ?? _files.GetValueOrDefault(name)
            ?? (slug is null ? _files[AgentDefinition.Default] : throw new ProblemException(StatusCodes.Status404NotFound, "agent_not_found", "There is no such agent."));
        return new ChosenAgent(agent, models.Choose(agent, model), new AgentBasis(name, version, IsDefault: slug is null));
    }

    public async Task<AgentDefinition?> FindAsync(OwnerId owner, string slug, CancellationToken ct) =>
        (await store.FindAsync(owner, slug, ct)).Agent ?? _files.GetValueOrDefault(slug);

    /// <summary>The owner's agents over the installation's, by slug.</summary>
    public async Task<IReadOnlyList<AgentDefinition>> ListAsync(OwnerId owner, CancellationToken ct)
    {
        var all = new SortedDictionary<string, AgentDefinition>(_files, StringComparer.Ordinal);
        foreach (var own in await store.ListAsync(owner, ct))
            all[own.Slug] = own;
        return [.. all.Values];
    }

    private async Task<(string Slug, int Version, AgentDefinition? Agent)> FindNamedAsync(OwnerId owner, string slug, CancellationToken ct)
    {
        var (version, own) = await store.FindAsync(owner, slug, ct);
        return (slug, version, own);
    }
}
