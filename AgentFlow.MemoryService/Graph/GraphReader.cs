using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Graph;

/// <summary>Reads entities and relations of one owner, seen through the memories that state them. Thread-safe.</summary>
internal sealed class GraphReader(Database database, TimeProvider time)
{
    /// <param name="filter">On the memories; entities and relations that only other memories state are not shown.</param>
    /// <param name="entity">Only this entity and what is related to it; null for all.</param>
    internal async Task<MemoryGraph> ReadAsync(Guid ownerId, FilterExpression? filter, string? entity, DateTimeOffset? asOf, int limit, CancellationToken ct)
    {
        var relations = await RelationsAsync(ownerId, filter, entity, asOf, limit, ct);
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.Where(new MemoryListing { Filter = filter, AsOf = asOf });
        var named = entity is null
            ? "true"
            : $"(e.key = {sql.Parameter(Ingestion.EntityNames.Key(entity))} or e.id = any({sql.Parameter(Ends(relations))}))";
        var entities = await database.ForOwner(ownerId).QueryAsync(
            $"""
            select e.id, e.name, e.kind, count(*)::int from memories m join memory_entity_links l on l.memory_id = m.id join memory_entities e on e.id = l.entity_id
            where {sql.Condition} and {named} group by e.id order by count(*) desc, e.name limit {sql.Parameter(limit)}
            """,
            sql.Parameters,
            reader => new GraphEntity(reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetInt32(3)),
            ct);
        return new MemoryGraph(entities, relations);
    }

    private Task<List<GraphRelation>> RelationsAsync(
        Guid ownerId, FilterExpression? filter, string? entity, DateTimeOffset? asOf, int limit, CancellationToken ct)
    {
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.Where(new MemoryListing { Filter = filter, AsOf = asOf });
        if (entity is not null)
            sql.And($"exists (select from memory_entities e where e.id in (r.source_id, r.target_id) and e.key = {sql.Parameter(Ingestion.EntityNames.Key(entity))})");
        return database.ForOwner(ownerId).QueryAsync(
            $"""
            select r.id, r.source_id, r.relation, r.target_id, m.id, m.valid_from, m.valid_to from memory_relations r join memories m on m.id = r.memory_id
            where {sql.Condition} order by r.id desc limit {sql.Parameter(limit)}
            """,
            sql.Parameters,
            reader => new GraphRelation(
                reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2), reader.GetGuid(3), new MemoryId(reader.GetGuid(4)), reader.NullableTime(5), reader.NullableTime(6)),
            ct);
    }

    private static Guid[] Ends(List<GraphRelation> relations) => [.. relations.SelectMany(relation => new[] { relation.Source, relation.Target }).Distinct()];
}
