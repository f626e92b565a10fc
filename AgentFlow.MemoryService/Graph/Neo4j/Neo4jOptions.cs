using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.MemoryService.Graph.Neo4j;

/// <summary>A Neo4j server that mirrors entities and relations, reached by its HTTP query API (Neo4j 5.19 and later).</summary>
/// <param name="Query">Where statements are posted to, such as <c>http://localhost:7474/db/neo4j/query/v2</c>.</param>
internal sealed record Neo4jOptions(Uri Query, string User, string? Password)
{
    /// <summary><c>NEO4J_URL</c> with <c>NEO4J_USER</c> (neo4j), <c>NEO4J_PASSWORD</c> and <c>NEO4J_DATABASE</c> (neo4j); null without a URL.</summary>
    /// <exception cref="SettingException">The address is not an http one.</exception>
    internal static Neo4jOptions? Find(IConfiguration configuration)
    {
        var text = configuration["NEO4J_URL"];
        if (string.IsNullOrWhiteSpace(text))
            return null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address))
            throw new SettingException("NEO4J_URL", $"found {text}", "Write the HTTP address, such as http://localhost:7474");
        if (address.Scheme.StartsWith("bolt", StringComparison.OrdinalIgnoreCase) || address.Scheme.StartsWith("neo4j", StringComparison.OrdinalIgnoreCase))
            throw new SettingException("NEO4J_URL", $"found a {address.Scheme}:// address", $"The graph is mirrored over Neo4j's HTTP query API: write http://{address.Host}:7474, or https with port 7473");
        if (address.Scheme is not ("http" or "https"))
            throw new SettingException("NEO4J_URL", $"found {text}", "Write the HTTP address, such as http://localhost:7474");
        var database = configuration["NEO4J_DATABASE"] is { Length: > 0 } named ? named : "neo4j";
        return new Neo4jOptions(
            new Uri(new Uri(address.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/"), $"db/{Uri.EscapeDataString(database)}/query/v2"),
            configuration["NEO4J_USER"] is { Length: > 0 } user ? user : "neo4j",
            configuration["NEO4J_PASSWORD"]);
    }
}
