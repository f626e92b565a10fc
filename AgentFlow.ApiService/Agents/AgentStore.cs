using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Agents;

/// <summary>Agents that accounts made over the API. Every change is a new version; a deletion is one without a definition.</summary>
internal sealed class AgentStore(Database database)
{
    /// <summary>Per account.</summary>
    public const int MaxAgents = 100;

    private const string NewestOf = """
        select distinct on (slug) slug, version, definition::text, created_at from agents where owner_id = $1 order by slug, version desc
        """;

    private const string Newest = """
        select version, definition::text, created_at from agents where owner_id = $1 and slug = $2 order by version desc limit 1
        """;

    private const string Versions = """
        select version, definition::text, created_at from agents where owner_id = $1 and slug = $2 and definition is not null order by version desc limit 100
        """;

    /// <summary>The account's choice and its newest version, where it is one of its own.</summary>
    private const string NewestDefault = """
        select c.slug, a.version, a.definition::text, a.created_at
        from (select coalesce((select default_agent from users where owner_id = $1), $2) as slug) c
        left join lateral (select version, definition, created_at from agents where owner_id = $1 and slug = c.slug order by version desc limit 1) a on true
        """;

    // The expected version keeps two writers from both making the next one.
    private const string Insert = """
        insert into agents (owner_id, slug, version, definition) values ($1, $2, $3, $4::jsonb) on conflict do nothing
        """;

    public async Task<IReadOnlyList<AgentDefinition>> ListAsync(OwnerId owner, CancellationToken ct)
    {
        var found = await database.ForOwner(owner.Value).QueryAsync(
            NewestOf, [owner.Value], row => row.IsDBNull(2) ? null : Parse(row.GetString(2), row.GetInt32(1), row.Time(3)), ct);
        return [.. found.OfType<AgentDefinition>()];
    }

    /// <returns>The newest version and its definition, null where it was deleted; version 0: there never was one.</returns>
    public async Task<(int Version, AgentDefinition? Agent)> FindAsync(OwnerId owner, string slug, CancellationToken ct) =>
        await database.ForOwner(owner.Value).QuerySingleAsync(
            Newest, [owner.Value, slug], row => (row.GetInt32(0), row.IsDBNull(1) ? null : Parse(row.GetString(1), row.GetInt32(0), row.Time(2))), ct);

    /// <returns>The newest first; a version that was a deletion is left out.</returns>
    public async Task<IReadOnlyList<AgentDefinition>> VersionsAsync(OwnerId owner, string slug, CancellationToken ct) =>
        await database.ForOwner(owner.Value).QueryAsync(Versions, [owner.Value, slug], row => Parse(row.GetString(1), row.GetInt32(0), row.Time(2)), ct);

    /// <returns>The slug that answers where none is named, and the newest version and definition as <see cref="FindAsync"/> has them.</returns>
    public async Task<(string Slug, int Version, AgentDefinition? Agent)> FindDefaultAsync(OwnerId owner, CancellationToken ct) =>
        await database.ForOwner(owner.Value).QuerySingleAsync(
            NewestDefault,
            [owner.Value, AgentDefinition.Default],
            row => (row.GetString(0), row.IsDBNull(1) ? 0 : row.GetInt32(1), row.IsDBNull(2) ? null : Parse(row.GetString(2), row.GetInt32(1), row.Time(3))),
            ct);

    /// <summary>Writes the version after <paramref name="version"/>; a null definition deletes.</summary>
    /// <returns>False when somebody else wrote it first.</returns>
    public async Task<bool> WriteAsync(OwnerId owner, string slug, int version, AgentDefinition? agent, CancellationToken ct)
    {
        var stored = agent is null ? null : agent with { Version = version + 1, Source = null, CreatedAt = null, Prompt = null };
        return await database.ForOwner(owner.Value).ExecuteAsync(
            Insert, [owner.Value, slug, version + 1, stored is null ? null : JsonSerializer.Serialize(stored, ContractJson.Options)], ct) == 1;
    }

    private static AgentDefinition Parse(string json, int version, DateTimeOffset createdAt) =>
        JsonSerializer.Deserialize<AgentDefinition>(json, ContractJson.Lenient)! with { Version = version, Source = "own", CreatedAt = createdAt };
}
