using System.Data.Common;
using System.Globalization;
using System.Text;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Retrieval.Index.Qdrant;

public sealed record QdrantOptions
{
    private static readonly TimeSpan ShortestTimeout = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromMinutes(1);

    /// <summary>The REST address, such as <c>http://127.0.0.1:6333</c>.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Sent as <c>api-key</c>; null when the server asks for none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>What the collections' names start with; one for each service, such as <c>agentflow-memory</c>.</summary>
    public required string Name { get; init; }

    /// <summary>A request that takes longer counts as failed, and the search is answered from the exact index. 50 ms to 1 min, 2 s.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Words in a usual record: Qdrant is given finished BM25 weights, so the length that counts as average must be known before.</summary>
    public int AverageLength { get; init; } = 30;

    /// <summary>Fields, by column, whose values many searches name; Qdrant keeps an index of each.</summary>
    public IReadOnlySet<string> IndexedColumns { get; init; } = new HashSet<string>();

    /// <summary>Fields of dates that every search is narrowed by; Qdrant keeps an index of each.</summary>
    public IReadOnlyList<FilterField> IndexedDates { get; init; } = [];

    /// <summary>
    /// Reads the form of the configuration key <c>ConnectionStrings:qdrant_http</c>: <c>Endpoint=http://host:6333;Key=secret</c>, and where the
    /// server is far away or slow <c>;Timeout=00:00:05</c> (<see cref="Timeout"/>).
    /// </summary>
    /// <exception cref="FormatException">The text has another form; the message says which is expected, without the key.</exception>
    public static QdrantOptions Parse(string connectionString, string name)
    {
        try
        {
            var parts = new DbConnectionStringBuilder { ConnectionString = connectionString };
            if (parts.TryGetValue("Endpoint", out var endpoint) && Uri.TryCreate(endpoint.ToString(), UriKind.Absolute, out var address)
                && (address.Scheme == Uri.UriSchemeHttp || address.Scheme == Uri.UriSchemeHttps))
                return WithTimeout(new QdrantOptions { Endpoint = address, ApiKey = parts.TryGetValue("Key", out var key) ? key.ToString() : null, Name = name }, parts);
        }
        catch (ArgumentException)
        {
            // Falls through to the message: the builder's own one would show the key.
        }

        throw new FormatException("Qdrant's connection string must have the form Endpoint=http://host:6333;Key=secret (Key may be left out).");
    }

    private static QdrantOptions WithTimeout(QdrantOptions options, DbConnectionStringBuilder parts)
    {
        if (!parts.TryGetValue("Timeout", out var text))
            return options;
        return TimeSpan.TryParse(text.ToString(), CultureInfo.InvariantCulture, out var timeout) && timeout >= ShortestTimeout && timeout <= LongestTimeout
            ? options with { Timeout = timeout }
            : throw new FormatException($"Timeout in Qdrant's connection string is {text}, but must be a time from 00:00:00.05 to 00:01:00.");
    }

    /// <summary>What a point consists of, beside its embedding space; raised with each change of it.</summary>
    private const int Form = 4;

    /// <summary>
    /// The alias that searches go to; it names the embedding space, so that vectors of two models never meet, and the form of the points, so that
    /// a release with another form fills collections of its own as it would for another model.
    /// </summary>
    internal string Alias(EmbeddingSpace space)
    {
        var slug = new StringBuilder();
        foreach (var c in space.Model)
            slug.Append(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? char.ToLowerInvariant(c) : '-');
        return $"{Name}.{slug}-{space.Dimensions}-form{Form}";
    }
}
