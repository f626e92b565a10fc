using AgentFlow.Retrieval.Index;

namespace AgentFlow.Tests.Retrieval.Index.Histories;

/// <summary>A guard against index drift that a control run leaves out, to show that the histories notice.</summary>
[Flags]
public enum MissingGuard
{
    None = 0,
    OutboxInsert = 1,
    ReadJoin = 2,
    Tombstone = 4,
}

/// <summary>
/// The rows and the outbox of a service, with its rules: every change raises the row's version and queues the row in one transaction, one
/// entry for each row, and a worker takes an entry away only when the version that it applied is still the newest.
/// </summary>
internal sealed class HistoryWorld(Random random, MissingGuard missing)
{
    private readonly Dictionary<Guid, long> _outbox = [];
    private readonly List<Guid> _ids = [];

    public ListTruth Truth { get; } = new();

    public IReadOnlyList<Guid> Owners { get; } = [Guid.CreateVersion7(), Guid.CreateVersion7(), Guid.CreateVersion7()];

    public bool IsOutboxEmpty => _outbox.Count == 0;

    public Guid Create()
    {
        var id = Guid.CreateVersion7();
        _ids.Add(id);
        var owner = Owners[random.Next(Owners.Count)];
        Truth.Put(owner, Points.Of(RandomText(), 1, id, new { user_id = $"u{random.Next(3)}" }));
        Queue(id, 1);
        return id;
    }

    /// <summary>Edits, moves to another subject, embeds again, deletes, restores, or gives to another owner.</summary>
    public Guid? Change(bool canMove)
    {
        if (_ids.Count == 0)
            return null;
        var row = Row(_ids[random.Next(_ids.Count)]);
        var version = row.Version + 1;
        if (row.Point is { } point && random.Next(3) == 0)
        {
            Truth.Delete(row.OwnerId, row.Id, version);
        }
        else
        {
            var owner = canMove && random.Next(5) == 0 ? Owners[random.Next(Owners.Count)] : row.OwnerId;
            Truth.Put(owner, Points.Of(random.Next(2) == 0 && row.Point is not null ? row.Point.Text : RandomText(), version, row.Id, new { user_id = $"u{random.Next(3)}" }));
        }

        Queue(row.Id, version);
        return row.Id;
    }

    public List<(Guid Id, long Version)> Claim(int limit) => [.. _outbox.OrderBy(_ => random.Next()).Take(limit).Select(entry => (entry.Key, entry.Value))];

    public void Done(IEnumerable<(Guid Id, long Version)> entries)
    {
        foreach (var (id, version) in entries)
        {
            if (_outbox.GetValueOrDefault(id) == version)
                _outbox.Remove(id);
        }
    }

    public TruthPoint Row(Guid id) => Truth.All.Single(point => point.Id == id);

    public TruthPoint? FindRow(Guid id) => Truth.All.FirstOrDefault(point => point.Id == id);

    /// <summary>What a search shows that it must not: deleted, of an older version, or somebody else's.</summary>
    public bool IsWrong(Guid owner, IndexHit hit) => FindRow(hit.Id) is not { Point: not null } row || row.OwnerId != owner || row.Version != hit.Version;

    /// <summary>The join of the read path, which drops what the index still believes.</summary>
    public IEnumerable<IndexHit> Join(Guid owner, IEnumerable<IndexHit> hits) =>
        missing.HasFlag(MissingGuard.ReadJoin) ? hits : hits.Where(hit => FindRow(hit.Id) is { Point: not null } row && row.OwnerId == owner && row.Version == hit.Version);

    public string RandomText() => $"word{random.Next(6)} word{random.Next(6)} common";

    private void Queue(Guid id, long version)
    {
        if (!missing.HasFlag(MissingGuard.OutboxInsert))
            _outbox[id] = version;
    }
}
