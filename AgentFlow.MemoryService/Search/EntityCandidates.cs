using AgentFlow.MemoryService.Ingestion;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Search;

/// <summary>Memories that name what the query names. Thread-safe.</summary>
internal sealed class EntityCandidates(Database database)
{
    /// <summary>A name that more memories hold than this tells none of them apart.</summary>
    private const int MaxLinks = 100;

    private static readonly Dictionary<Guid, double> None = [];

    /// <returns>By memory, how rare the rarest shared name is: 1 when no other memory has it, as Mem0 weighs its links (utils/scoring.py).</returns>
    internal async Task<IReadOnlyDictionary<Guid, double>> FindAsync(Guid ownerId, string query, CancellationToken ct)
    {
        var names = EntityNames.In(query);
        if (names.Count == 0)
            return None;
        var links = await database.ForOwner(ownerId).QueryAsync(
            """
            select l.memory_id, c.links from memory_entities e
            cross join lateral (select count(*)::int as links from (select from memory_entity_links x where x.owner_id = $1 and x.entity_id = e.id limit $3) few) c
            join memory_entity_links l on l.owner_id = $1 and l.entity_id = e.id
            where e.owner_id = $1 and e.key = any($2) and c.links < $3
            """,
            [ownerId, names.Select(EntityNames.Key).ToArray(), MaxLinks + 1],
            reader => (Id: reader.GetGuid(0), Links: reader.GetInt32(1)),
            ct);
        return links.GroupBy(link => link.Id).ToDictionary(memory => memory.Key, memory => memory.Max(link => Strength(link.Links)));
    }

    internal static double Strength(int links) => 1 / (1 + (0.001 * (links - 1) * (links - 1)));
}
