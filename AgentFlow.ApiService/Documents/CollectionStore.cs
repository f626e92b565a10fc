using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>Named sets of documents and their members. Callers have checked the grant (<see cref="DocumentAccess"/>) before they write.</summary>
internal sealed class CollectionStore(Database database, OutboxWorker outbox, DocumentFollowUp followUp)
{
    private const int MaxMembers = 500;

    private const string Select = """
        select c.id, c.name, c.description, c.owner_id, m.access, (select count(*)::int from collection_documents d where d.collection_id = c.id), c.created_at
        from collections c left join collection_members m on m.collection_id = c.id and m.member_id = $1
        where (c.owner_id = $1 or m.member_id is not null)
        """;

    private const string SelectPage = Select + " and ($2::timestamptz is null or (c.created_at, c.id) < ($2, $3::uuid)) order by c.created_at desc, c.id desc limit $4";

    private const string Insert = """
        insert into collections (id, owner_id, name, description) values ($1, $2, $3, $4::text) on conflict do nothing returning created_at
        """;

    private const string AddDocument = """
        insert into collection_documents (collection_id, document_id, owner_id) select $1, id, owner_id from documents where id = $2 on conflict do nothing
        """;

    /// <summary>
    /// The index filters by collection, so the passages are told anew: at once where they are few, and else in steps. Locked, so that a version that is
    /// staged at this moment either is seen here or sees the change.
    /// </summary>
    public static readonly string TouchDocument = $"""
        with document as (
            select id, owner_id, live_version, chunk_count > {DocumentFollowUp.PassagesPerStep} or staged_version is not null as is_large
            from documents where id = $1 and live_version is not null for share),
        later as (
            insert into document_touches (document_id, owner_id) select id, owner_id from document where is_large
            on conflict (document_id) do update set at_ordinal = -1),
        touched as (
            update chunks c set index_version = index_version + 1, changed_at = now() from document d
            where not d.is_large and c.document_id = d.id and c.document_version = d.live_version and c.deleted_at is null
            returning c.id, c.owner_id, c.index_version)
        insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, index_version, 'upsert' from touched
        on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        """;

    private const string SelectAccount = "select owner_id from users where disabled_at is null and (owner_id = $1::uuid or email = $2::text)";

    private const string InsertMember = """
        insert into collection_members (collection_id, member_id, owner_id, access)
        select $1, $2, $3, $4 where (select count(*) from collection_members where collection_id = $1) < $5
        on conflict (collection_id, member_id) do update set access = excluded.access
        """;

    /// <summary>Null: the owner has one of this name.</summary>
    public async Task<Collection?> CreateAsync(OwnerId owner, CollectionId id, CreateCollectionRequest request, CancellationToken ct)
    {
        var created = await database.ForOwner(owner.Value).QueryAsync(Insert, [id.Value, owner.Value, request.Name, request.Description], row => row.Time(0), ct);
        return created.Count == 0
            ? null
            : new Collection { Id = id, Name = request.Name, Description = request.Description, OwnerId = owner, Documents = 0, CreatedAt = created[0] };
    }

    public async Task<Page<Collection>> ListAsync(OwnerId caller, DocumentCursor? after, int limit, CancellationToken ct)
    {
        var items = await database.ForOwner(caller.Value).QueryAsync(
            SelectPage,
            [caller.Value, after?.CreatedAt, after?.Id, limit + 1],
            Read,
            ct);
        if (items.Count <= limit)
            return new Page<Collection>(items);
        items.RemoveAt(limit);
        return new Page<Collection>(items, new DocumentCursor(items[^1].CreatedAt, items[^1].Id.Value).Encode());
    }

    public Task<int> DeleteAsync(OwnerId owner, CollectionId id, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch();
        batch.Add("delete from collections where id = $1", [id.Value]);
        return batch.ExecuteAsync(ct);
    }

    /// <returns>False: the collection's owner has no such document.</returns>
    public async Task<bool> AddDocumentAsync(OwnerId owner, CollectionId id, DocumentId document, CancellationToken ct)
    {
        await using var session = await database.ForOwner(owner.Value).BeginAsync(ct);
        var exists = await session.QueryAsync("select true from documents where id = $1", [document.Value], row => row.GetBoolean(0), ct);
        if (exists.Count == 0)
            return false;
        if (await session.ExecuteAsync(AddDocument, [id.Value, document.Value], ct) > 0)
            await session.ExecuteAsync(TouchDocument, [document.Value], ct);
        await session.CommitAsync(ct);
        outbox.Wake();
        followUp.Wake();
        return true;
    }

    public async Task<bool> RemoveDocumentAsync(OwnerId owner, CollectionId id, DocumentId document, CancellationToken ct)
    {
        await using var session = await database.ForOwner(owner.Value).BeginAsync(ct);
        var removed = await session.ExecuteAsync("delete from collection_documents where collection_id = $1 and document_id = $2", [id.Value, document.Value], ct);
        if (removed > 0)
            await session.ExecuteAsync(TouchDocument, [document.Value], ct);
        await session.CommitAsync(ct);
        outbox.Wake();
        followUp.Wake();
        return removed > 0;
    }

    public async Task<List<CollectionMember>> MembersAsync(OwnerId owner, CollectionId id, CancellationToken ct)
    {
        var members = await database.ForOwner(owner.Value).QueryAsync(
            "select member_id, access, added_at from collection_members where collection_id = $1 order by added_at, member_id limit 500",
            [id.Value],
            row => new CollectionMember(new OwnerId(row.GetGuid(0)), Enum.Parse<CollectionAccess>(row.GetString(1), ignoreCase: true), row.Time(2)),
            ct);
        var names = await database.AsWorker().QueryAsync(
            "select owner_id, display_name from users where owner_id = any ($1)",
            [members.Select(member => member.UserId.Value).ToArray()],
            row => (Id: new OwnerId(row.GetGuid(0)), Name: row.GetString(1)),
            ct);
        var named = names.ToDictionary(account => account.Id, account => account.Name);
        return members.ConvertAll(member => member with { DisplayName = named.GetValueOrDefault(member.UserId) });
    }

    /// <summary>An account that can sign in, by its id or its address in lower case.</summary>
    public async Task<OwnerId?> FindAccountAsync(OwnerId? id, string? email, CancellationToken ct)
    {
        var found = await database.AsWorker().QueryAsync(SelectAccount, [id?.Value, email], row => new OwnerId(row.GetGuid(0)), ct);
        return found.Count == 0 ? null : found[0];
    }

    /// <returns>False: the collection has all the members it may have.</returns>
    public async Task<bool> SetMemberAsync(OwnerId owner, CollectionId id, OwnerId member, CollectionAccess access, CancellationToken ct) =>
        await database.ForOwner(owner.Value).ExecuteAsync(InsertMember, [id.Value, member.Value, owner.Value, access.ToString().ToLowerInvariant(), MaxMembers], ct) > 0;

    public async Task<bool> RemoveMemberAsync(OwnerId owner, CollectionId id, OwnerId member, CancellationToken ct) =>
        await database.ForOwner(owner.Value).ExecuteAsync("delete from collection_members where collection_id = $1 and member_id = $2", [id.Value, member.Value], ct) > 0;

    private static Collection Read(NpgsqlDataReader row) => new()
    {
        Id = new CollectionId(row.GetGuid(0)),
        Name = row.GetString(1),
        Description = row.NullableString(2),
        OwnerId = new OwnerId(row.GetGuid(3)),
        Access = row.NullableString(4) is { } access ? Enum.Parse<CollectionAccess>(access, ignoreCase: true) : null,
        Documents = row.GetInt32(5),
        CreatedAt = row.Time(6),
    };
}
