namespace AgentFlow.Retrieval.Filters;

/// <summary>The type of a column, in SQL and on the wire.</summary>
public enum FilterKind
{
    /// <summary>text</summary>
    Text,

    /// <summary>text[]</summary>
    TextList,

    /// <summary>uuid</summary>
    Id,

    /// <summary>timestamptz</summary>
    Instant,

    /// <summary>numeric or an integer type</summary>
    Number,

    /// <summary>boolean</summary>
    Flag,
}

/// <param name="Name">The key in filters and in <c>IndexPoint.Fields</c>.</param>
/// <param name="Sql">How a query names it, such as <c>m.user_id</c>; from code only, never from input.</param>
/// <param name="Aliases">Further keys with the same meaning, such as <c>createdAt</c> for <c>created_at</c>.</param>
public sealed record FilterColumn(string Name, FilterKind Kind, string Sql, params IReadOnlyList<string> Aliases);

/// <summary>What a filter can name: columns, and any other key as a path into the metadata (<c>a.b</c>; a dot in a key is written <c>\.</c>).</summary>
public sealed class FilterSchema
{
    private readonly Dictionary<string, FilterColumn> _columns = new(StringComparer.Ordinal);

    /// <param name="metadataSql">The jsonb column, such as <c>m.metadata</c>.</param>
    public FilterSchema(string metadataSql, params IReadOnlyList<FilterColumn> columns)
    {
        ArgumentNullException.ThrowIfNull(columns);
        MetadataSql = metadataSql;
        foreach (var column in columns)
        {
            _columns.Add(column.Name, column);
            foreach (var alias in column.Aliases)
                _columns.Add(alias, column);
        }
    }

    public string MetadataSql { get; }

    public FilterColumn? Find(string key) => _columns.GetValueOrDefault(key);
}

/// <param name="Place">Where in the filter, such as <c>AND[1].n.gte</c>; empty for the whole.</param>
/// <param name="Message">What is wrong there, for a person.</param>
public sealed record FilterError(string Place, string Message)
{
    public override string ToString() => Place.Length == 0 ? $"filter: {Message}" : $"filter at {Place}: {Message}";
}
