using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Graph.Neo4j;

/// <summary>
/// Brings what memories name and relate to Neo4j, from what Postgres holds at the moment; safe to repeat. Every node carries its owner, and no
/// text of a memory goes there. Thread-safe.
/// </summary>
internal sealed class Neo4jMirror(IHttpClientFactory clients, Neo4jOptions options, Database database)
{
    internal const string ClientName = "neo4j";

    internal static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>What the memories stated before goes first: a mirrored memory states what it states now.</summary>
    private const string ForgetStatement =
        """
        UNWIND $ids AS id
        OPTIONAL MATCH (m:Memory {id: id})
        OPTIONAL MATCH ()-[r:RELATES {memoryId: id}]->()
        DELETE r
        DETACH DELETE m
        """;

    private const string NameStatement =
        """
        UNWIND $names AS row
        MERGE (e:Entity {id: row.entityId}) SET e.owner = row.owner, e.name = row.name, e.kind = row.kind
        MERGE (m:Memory {id: row.memoryId}) SET m.owner = row.owner
        MERGE (m)-[:NAMES]->(e)
        """;

    private const string RelateStatement =
        """
        UNWIND $relations AS row
        MATCH (s:Entity {id: row.sourceId}), (t:Entity {id: row.targetId})
        MERGE (s)-[r:RELATES {id: row.id}]->(t) SET r.name = row.relation, r.memoryId = row.memoryId, r.owner = row.owner
        """;

    /// <summary>Entities that nothing names any more.</summary>
    private const string SweepStatement = "MATCH (e:Entity) WHERE e.owner IN $owners AND NOT (e)--() DELETE e";

    /// <exception cref="HttpRequestException">Neo4j did not take it; the outbox tries again.</exception>
    internal async Task MirrorAsync(IReadOnlyList<Guid> ids, IReadOnlyList<Guid> owners, CancellationToken ct)
    {
        var names = new List<Dictionary<string, string>>();
        var relations = new List<Dictionary<string, string>>();
        foreach (var owner in owners)
        {
            await database.ForOwner(owner).CreateBatch().Add(NamesSql, [owner, ids.ToArray()]).Add(RelationsSql, [owner, ids.ToArray()]).ReadAsync(
                async (reader, token) =>
                {
                    while (await reader.ReadAsync(token))
                        names.Add(Row(owner, ("memoryId", reader.GetGuid(0)), ("entityId", reader.GetGuid(1)), ("name", reader.GetString(2)), ("kind", reader.GetString(3))));
                    await reader.NextResultAsync(token);
                    while (await reader.ReadAsync(token))
                        relations.Add(Row(owner, ("id", reader.GetGuid(0)), ("memoryId", reader.GetGuid(1)), ("sourceId", reader.GetGuid(2)), ("targetId", reader.GetGuid(3)), ("relation", reader.GetString(4))));
                    return 0;
                },
                ct);
        }

        await RunAsync(ForgetStatement, new { ids = ids.Select(id => id.ToString("D")) }, ct);
        if (names.Count > 0)
            await RunAsync(NameStatement, new { names }, ct);
        if (relations.Count > 0)
            await RunAsync(RelateStatement, new { relations }, ct);
        await RunAsync(SweepStatement, new { owners = owners.Select(owner => owner.ToString("D")) }, ct);
    }

    private const string NamesSql =
        """
        select l.memory_id, e.id, e.name, e.kind from memory_entity_links l join memory_entities e on e.id = l.entity_id join memories m on m.id = l.memory_id
        where l.owner_id = $1 and l.memory_id = any($2) and m.status = 0
        """;

    private const string RelationsSql =
        """
        select r.id, r.memory_id, r.source_id, r.target_id, r.relation from memory_relations r join memories m on m.id = r.memory_id
        where r.owner_id = $1 and r.memory_id = any($2) and m.status = 0
        """;

    private static Dictionary<string, string> Row(Guid owner, params ReadOnlySpan<(string Name, object Value)> values)
    {
        var row = new Dictionary<string, string>(StringComparer.Ordinal) { ["owner"] = owner.ToString("D") };
        foreach (var (name, value) in values)
            row[name] = value.ToString()!;
        return row;
    }

    // Raw: {"errors":[{"code":"Neo.ClientError.Statement.SyntaxError","message":"..."}]}
    private async Task RunAsync(string statement, object parameters, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, options.Query) { Content = JsonContent.Create(new { statement, parameters }) };

        // With its length: some gateways take no chunked body.
        await request.Content.LoadIntoBufferAsync(ct);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (options.Password is { } password)
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{options.User}:{password}")));
        using var response = await clients.CreateClient(ClientName).SendAsync(request, ct);
        response.EnsureSuccessStatusCode();
        try
        {
            using var answer = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(ct), cancellationToken: ct);
            if (answer.RootElement.TryGetProperty("errors", out var errors) && errors.ValueKind == JsonValueKind.Array && errors.GetArrayLength() > 0)
                throw new HttpRequestException($"Neo4j refused a statement: {errors[0].GetRawText()}");
        }
        catch (JsonException error)
        {
            throw new HttpRequestException("Neo4j did not answer in its own form.", error);
        }
    }
}
