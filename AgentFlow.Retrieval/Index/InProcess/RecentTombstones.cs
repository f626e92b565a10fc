using System.Collections.Concurrent;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>
/// The latest deletions, whether or not their owner was loaded. An owner's own tombstones go when it is dropped from memory, and a write that
/// was on its way all that time would bring a deleted point back. Kept by owner: a point that changed hands is deleted for one and lives for another. Bounded: between one and two times the generation's size. Thread-safe.
/// </summary>
internal sealed class RecentTombstones
{
    private const int GenerationSize = 50_000;

    private volatile ConcurrentDictionary<(Guid OwnerId, Guid Id), long> _current = new();
    private volatile ConcurrentDictionary<(Guid OwnerId, Guid Id), long> _previous = new();

    public void Add(Guid ownerId, Guid id, long version)
    {
        _current.AddOrUpdate((ownerId, id), version, (_, known) => Math.Max(known, version));
        if (_current.Count < GenerationSize)
            return;
        _previous = _current;
        _current = new ConcurrentDictionary<(Guid OwnerId, Guid Id), long>();
    }

    /// <summary>Whether that version, or one after it, is known to be deleted.</summary>
    public bool Covers(Guid ownerId, Guid id, long version) =>
        (_current.TryGetValue((ownerId, id), out var known) && known >= version) || (_previous.TryGetValue((ownerId, id), out known) && known >= version);

    public void Forget(Guid ownerId, Guid id)
    {
        _current.TryRemove((ownerId, id), out _);
        _previous.TryRemove((ownerId, id), out _);
    }
}
