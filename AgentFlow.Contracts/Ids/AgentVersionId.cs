using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>One version of an agent's definition.</summary>
[JsonConverter(typeof(TypedIdConverter<AgentVersionId>))]
public readonly record struct AgentVersionId(Guid Value) : ITypedId<AgentVersionId>
{
    public static AgentVersionId New() => new(Guid.CreateVersion7());

    public static AgentVersionId From(Guid value) => new(value);

    public static AgentVersionId Parse(string s, IFormatProvider? provider) => TypedId.Parse<AgentVersionId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out AgentVersionId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
