using System.Collections.Concurrent;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Choices that were made before, so that most runs begin without a look at the account's agents. None is trusted: the transaction that writes the run
/// looks whether what it rests on is still so, and refuses it otherwise. Refusals are never remembered. Thread-safe.
/// </summary>
internal sealed class RememberedAgents
{
    /// <summary>Beyond, all are forgotten: one for each account that talks, and each agent that it names.</summary>
    private const int Max = 10_000;

    private readonly ConcurrentDictionary<Asked, ChosenAgent> _known = new();

    public ChosenAgent? Find(OwnerId owner, string? slug, string? model) => _known.GetValueOrDefault(new(owner, slug, model));

    public void Keep(OwnerId owner, string? slug, string? model, ChosenAgent chosen)
    {
        if (chosen.Basis is null)
            return;
        if (_known.Count >= Max)
            _known.Clear();
        _known[new(owner, slug, model)] = chosen;
    }

    public void Forget(OwnerId owner, string? slug, string? model) => _known.TryRemove(new(owner, slug, model), out _);

    private readonly record struct Asked(OwnerId Owner, string? Slug, string? Model);
}
