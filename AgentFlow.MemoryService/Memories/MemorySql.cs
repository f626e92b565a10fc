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

    /// <summary>What is read from, under the alias <c>m</c>.</summary>
    internal string Source { get; private set; } = "memories m";

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
        if (listing.KnownAt is { } known)
            ReadAsKnownAt(Parameter(known));
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
            And($"(m.expires_at is null or m.expires_at > {Parameter(listing.KnownAt ?? _now)})");
        Filter(listing.Filter);
    }

    /// <summary>Puts the version that was recorded at a moment in the place of the current one. What was deleted since is gone.</summary>
    private void ReadAsKnownAt(string moment)
    {
        Source =
            $"""
            (select m.id, m.seq, m.owner_id, m.user_id, m.agent_id, m.session_id, m.app_id, m.kind, m.trust, m.source, m.role, m.actor, m.immutable, m.status,
                m.created_at, m.observed_at, coalesce(v.text, m.text) as text, coalesce(v.metadata, m.metadata) as metadata,
                coalesce(v.categories, m.categories) as categories, coalesce(v.version, m.version) as version, coalesce(v.recorded_at, m.updated_at) as updated_at,
                case when v.version is null then m.expires_at else v.expires_at end as expires_at,
                case when v.version is null then m.valid_from else v.valid_from end as valid_from,
                case when v.version is null then m.valid_to else v.valid_to end as valid_to,
                case when v.version is null then m.superseded_by end as superseded_by
            from memories m left join memory_versions v on v.memory_id = m.id and v.owner_id = m.owner_id and v.recorded_at <= {moment} and v.replaced_at > {moment}
            where m.created_at <= {moment} and (v.version is not null or m.updated_at <= {moment})) m
            """;
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
