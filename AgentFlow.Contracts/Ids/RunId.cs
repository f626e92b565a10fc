using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>One execution of an agent: an ordered log of events with exactly one terminal event.</summary>
[JsonConverter(typeof(TypedIdConverter<RunId>))]
public readonly record struct RunId(Guid Value) : ITypedId<RunId>
{
    public static RunId New() => new(Guid.CreateVersion7());

    public static RunId From(Guid value) => new(value);

    public static RunId Parse(string s, IFormatProvider? provider) => TypedId.Parse<RunId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out RunId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
