using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Documents;

/// <summary>A grant on somebody else's collections.</summary>
internal sealed record SharedCollections(OwnerId Owner, IReadOnlyList<CollectionId> Collections);

/// <summary>Who may see what: the owner, or a member of a collection that holds the document. Everything else does not exist.</summary>
internal sealed class DocumentAccess(Database database)
{
    private const string FindOwner = """
        select owner_id from documents where id = $2 and owner_id = $1
        union all
        select d.owner_id from collection_documents d join collection_members m on m.collection_id = d.collection_id
        where d.document_id = $2 and m.member_id = $1
        limit 1
        """;

    /// <summary>The collections of others that the caller may read, by their owners.</summary>
    public const string SelectShared = """
        select m.owner_id, array_agg(m.collection_id) from collection_members m where m.member_id = $1 group by m.owner_id
        """;

    private const string FindCollection = """
        select c.owner_id, case when c.owner_id = $1 then 'manage' else m.access end
        from collections c left join collection_members m on m.collection_id = c.id and m.member_id = $1
        where c.id = $2 and (c.owner_id = $1 or m.member_id is not null)
        """;

    private const string CountVisible = """
        select count(*)::int from collections c left join collection_members m on m.collection_id = c.id and m.member_id = $1
        where c.id = any ($2) and (c.owner_id = $1 or m.member_id is not null)
        """;

    /// <summary>As whom the document's rows are read; null when the caller may not see it.</summary>
    public async Task<OwnerId?> OwnerOfAsync(OwnerId caller, string id, CancellationToken ct)
    {
        if (!DocumentId.TryParse(id, null, out var document))
            return null;
        var owners = await database.ForOwner(caller.Value).QueryAsync(FindOwner, [caller.Value, document.Value], row => new OwnerId(row.GetGuid(0)), ct);
        return owners.Count == 0 ? null : owners[0];
    }

    /// <summary>Whether every one of the collections is the caller's own or shared with the caller.</summary>
    public async Task<bool> SeesAllAsync(OwnerId caller, IReadOnlyList<CollectionId> collections, CancellationToken ct)
    {
        if (collections.Count == 0)
            return true;
        var ids = collections.Select(id => id.Value).Distinct().ToArray();
        var seen = await database.ForOwner(caller.Value).QueryAsync(CountVisible, [caller.Value, ids], row => row.GetInt32(0), ct);
        return seen[0] == ids.Length;
    }

    /// <summary>The collection's owner, when the caller may do at least this much with it.</summary>
    public async Task<OwnerId?> OwnerOfCollectionAsync(OwnerId caller, CollectionId collection, Contracts.Documents.CollectionAccess least, CancellationToken ct)
    {
        var found = await database.ForOwner(caller.Value).QueryAsync(
            FindCollection,
            [caller.Value, collection.Value],
            row => (Owner: new OwnerId(row.GetGuid(0)), Access: Enum.Parse<Contracts.Documents.CollectionAccess>(row.GetString(1), ignoreCase: true)),
            ct);
        return found.Count > 0 && found[0].Access >= least ? found[0].Owner : null;
    }
}
