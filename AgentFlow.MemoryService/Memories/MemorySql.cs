using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Collects the condition and the parameters of one query over <c>memories m</c>. Used once.</summary>
internal sealed class MemorySql
{
    private readonly List<object?> _parameters = [];
    private readonly List<string> _conditions = [];
    private readonly DateTimeOffset _now;

    internal MemorySql(Guid ownerId, DateTimeOffset now)
    {
        _now = now;
        And($"m.owner_id = {Parameter(ownerId)}");
    }

    internal string Condition => string.Join(" and ", _conditions);

    internal object?[] Parameters => [.. _parameters];

    /// <returns>The place of the value in the SQL, such as <c>$3</c>.</returns>
    internal string Parameter(object? value)
    {
        _parameters.Add(value);
        return $"${_parameters.Count}";
    }

    internal void And(string condition) => _conditions.Add(condition);

    internal void Where(MemoryListing listing)
    {
        And($"m.status = {(listing.Pending ? 1 : 0)}");
        if (listing.AsOf is { } moment)
        {
            var at = Parameter(moment);
            And($"m.valid_from <= {at} and (m.valid_to is null or m.valid_to > {at})");
        }
        else if (!listing.Superseded)
        {
            And("m.valid_to is null");
        }

        if (!listing.Expired)
            And($"(m.expires_at is null or m.expires_at > {Parameter(_now)})");
        Filter(listing.Filter);
    }

    internal void Filter(FilterExpression? filter)
    {
        if (filter is null)
            return;
        NarrowBySubject(filter);
        And(FilterSql.Build(filter, MemoryFilters.Schema, _parameters));
    }

    /// <summary>Says the subjects that must hold a second time, in a form that an index can serve.</summary>
    private void NarrowBySubject(FilterExpression filter)
    {
        if (filter is FilterExpression.And and)
        {
            foreach (var item in and.Items)
                NarrowBySubject(item);
        }
        else if (filter is FilterExpression.AnyOf { Field.Column: { } column } any && SubjectFilter.Columns.Contains(column))
        {
            And($"m.{column} = any({Parameter(any.Values.Select(value => (string)value.Value).ToArray())})");
        }
    }
}
