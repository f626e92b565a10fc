using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Documents;

/// <summary>A grant on somebody else's collections.</summary>
internal sealed record SharedCollections(OwnerId Owner, IReadOnlyList<CollectionId> Collections);

/// <summary>Where an upload goes, as the caller's grant allows it.</summary>
/// <param name="Owner">To whom the document will belong.</param>
/// <param name="Member">Who uploads it, where that is not the owner.</param>
/// <param name="Collection">What it is put into.</param>
internal sealed record UploadTarget(OwnerId Owner, OwnerId? Member = null, CollectionId? Collection = null)
{
    public static ProblemException NoSuchCollection() => new(StatusCodes.Status404NotFound, "not_found", "There is no such collection.");
}

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

    private const string FindChangeable = """
        select owner_id from documents where id = $2 and owner_id = $1
        union all
        select d.owner_id from collection_documents d join collection_members m on m.collection_id = d.collection_id
        where d.document_id = $2 and m.member_id = $1 and m.access in ('write', 'manage')
        limit 1
        """;

    /// <summary>As whom the document's rows are read; null when the caller may not see it.</summary>
    public async Task<OwnerId?> OwnerOfAsync(OwnerId caller, string id, CancellationToken ct)
    {
        if (!DocumentId.TryParse(id, null, out var document))
            return null;
        var owners = await database.ForOwner(caller.Value).QueryAsync(FindOwner, [caller.Value, document.Value], row => new OwnerId(row.GetGuid(0)), ct);
        return owners.Count == 0 ? null : owners[0];
    }

    /// <summary>
    /// As whom the document's rows are changed: the owner, or who uploaded it into a collection that still holds it and may still write there. Null
    /// for everybody else.
    /// </summary>
    public async Task<OwnerId?> ChangerOfAsync(OwnerId caller, string id, CancellationToken ct)
    {
        if (!DocumentId.TryParse(id, null, out var document))
            return null;
        var owners = await database.ForOwner(caller.Value).QueryAsync(FindChangeable, [caller.Value, document.Value], row => new OwnerId(row.GetGuid(0)), ct);
        if (owners.Count == 0 || owners[0] == caller)
            return owners.Count == 0 ? null : caller;
        var uploaded = await database.ForOwner(owners[0].Value).QueryAsync(
            "select true from documents where id = $1 and uploaded_by = $2", [document.Value, caller.Value], row => row.GetBoolean(0), ct);
        return uploaded.Count == 0 ? null : owners[0];
    }

    /// <summary>To whom an upload will belong: the caller, or the owner of the shared collection that it goes into.</summary>
    /// <exception cref="ProblemException">404: the caller may not write to such a collection.</exception>
    public async Task<UploadTarget> TargetAsync(OwnerId caller, CollectionId? collection, CancellationToken ct)
    {
        if (collection is not { } into)
            return new UploadTarget(caller);
        var owner = await OwnerOfCollectionAsync(caller, into, Contracts.Documents.CollectionAccess.Write, ct) ?? throw UploadTarget.NoSuchCollection();
        return new UploadTarget(owner, owner == caller ? null : caller, into);
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
