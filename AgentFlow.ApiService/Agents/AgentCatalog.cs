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

    /// <summary>See <see cref="ChooseAgent"/>. One round trip.</summary>
    public async ValueTask<ChosenAgent> ChooseAsync(OwnerId owner, string? slug, string? model, CancellationToken ct)
    {
        var agent = slug is null
            ? await DefaultAsync(owner, ct)
            : await FindAsync(owner, slug, ct) ?? throw new ProblemException(StatusCodes.Status404NotFound, "agent_not_found", "There is no such agent.");
        return new ChosenAgent(agent, models.Choose(agent, model));
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

    /// <summary>The account's choice; if that is gone, the installation's.</summary>
    private async Task<AgentDefinition> DefaultAsync(OwnerId owner, CancellationToken ct)
    {
        var (slug, own) = await store.FindDefaultAsync(owner, ct);
        return own ?? _files.GetValueOrDefault(slug) ?? _files[AgentDefinition.Default];
    }
}
