using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Rooms;

/// <summary>
/// What documents a room's agent may quote: those of collections that every member may read at this moment, whoever asks. Nobody learns
/// from the agent what he could not read himself.
/// </summary>
internal sealed class RoomDocuments(Database database, DocumentSearch search)
{
    /// <summary>Starts from one member's collections, the fewest that can be in common.</summary>
    private const string SelectCommon = """
        with people as (select member_id from room_members where room_id = $1 and owner_id = $1),
        candidates as (
            select c.id, c.owner_id from collections c where c.owner_id = (select min(member_id::text)::uuid from people)
            union
            select c.id, c.owner_id from collection_members g join collections c on c.id = g.collection_id where g.member_id = (select min(member_id::text)::uuid from people)
        )
        select c.owner_id, array_agg(c.id) from candidates c
        where not exists (
            select from people p where p.member_id <> c.owner_id
              and not exists (select from collection_members g where g.collection_id = c.id and g.member_id = p.member_id))
        group by c.owner_id
        """;

    public async Task<DocumentSearchResponse> SearchAsync(RoomId room, PassageQuery query, CancellationToken ct)
    {
        var common = await database.AsWorker().QueryAsync(
            SelectCommon,
            [room.Value],
            reader => new SharedCollections(new OwnerId(reader.GetGuid(0)), [.. ((Guid[])reader[1]).Select(id => new CollectionId(id))]),
            ct);
        return await search.SearchSharedAsync(common, query, ct);
    }
}
