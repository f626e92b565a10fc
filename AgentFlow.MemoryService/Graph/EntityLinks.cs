using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Graph;

/// <summary>Writes the names that memories hold, and the relations that a model found in them, in the transaction that adds the memories.</summary>
internal static class EntityLinks
{
    // A memory that turned out to be a duplicate was not added, and then neither are its links.
    private const string LinkSql =
        """
        with named as (
            select n.memory_id, n.key, n.name, n.kind, n.id from unnest($2, $3, $4, $5, $6) as n (memory_id, key, name, kind, id)
            join memories m on m.id = n.memory_id
        ), made as (
            insert into memory_entities (id, owner_id, name, key, kind, created_at)
            select distinct on (key) id, $1, name, key, kind, $7 from named order by key
            on conflict (owner_id, key) do nothing returning id, key
        ), entities as (
            select id, key from made union select e.id, e.key from memory_entities e where e.owner_id = $1 and e.key = any($3)
        )
        insert into memory_entity_links (memory_id, entity_id, owner_id)
        select distinct named.memory_id, entities.id, $1 from named join entities on entities.key = named.key
        on conflict do nothing
        """;

    private const string RelateSql =
        """
        insert into memory_relations (id, owner_id, memory_id, source_id, target_id, relation, created_at)
        select n.id, $1, n.memory_id, s.id, t.id, n.relation, $7 from unnest($2, $3, $4, $5, $6) as n (id, memory_id, source, relation, target)
        join memories m on m.id = n.memory_id
        join memory_entities s on s.owner_id = $1 and s.key = n.source
        join memory_entities t on t.owner_id = $1 and t.key = n.target
        on conflict do nothing
        """;

    /// <summary>Adds nothing where the memories name nothing.</summary>
    internal static void Add(DbBatch batch, Guid ownerId, IReadOnlyList<NewMemory> memories)
    {
        var links = memories
            .SelectMany(memory => memory.Entities.Concat(memory.Relations.SelectMany(relation => new[] { relation.Source, relation.Target }))
                .Select(name => (Memory: memory, Key: EntityNames.Key(name), Name: name.Trim())))
            .Where(link => link.Key.Length > 0)
            .DistinctBy(link => (link.Memory.Id, link.Key))
            .OrderBy(link => link.Key, StringComparer.Ordinal)
            .ToList();
        if (links.Count == 0)
            return;
        var now = memories[0].CreatedAt;
        batch.Add(
            LinkSql,
            [
                ownerId, links.Select(link => link.Memory.Id.Value).ToArray(), links.Select(link => link.Key).ToArray(), links.Select(link => link.Name).ToArray(),
                links.Select(link => Kind(link.Name)).ToArray(), links.Select(_ => Guid.CreateVersion7()).ToArray(), now,
            ]);
        var relations = memories.SelectMany(memory => memory.Relations.Select(relation => (memory.Id, Relation: relation))).ToList();
        if (relations.Count == 0)
            return;
        batch.Add(
            RelateSql,
            [
                ownerId, relations.Select(_ => Guid.CreateVersion7()).ToArray(), relations.Select(one => one.Id.Value).ToArray(),
                relations.Select(one => EntityNames.Key(one.Relation.Source)).ToArray(), relations.Select(one => one.Relation.Relation).ToArray(),
                relations.Select(one => EntityNames.Key(one.Relation.Target)).ToArray(), now,
            ]);
    }

    private static string Kind(string name) => name.Any(char.IsDigit) ? "identifier" : "name";
}
