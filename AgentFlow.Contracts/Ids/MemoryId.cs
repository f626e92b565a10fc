using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A remembered fact, message or procedure.</summary>
[JsonConverter(typeof(TypedIdConverter<MemoryId>))]
public readonly record struct MemoryId(Guid Value) : ITypedId<MemoryId>
{
    public static MemoryId New() => new(Guid.CreateVersion7());

    public static MemoryId From(Guid value) => new(value);

    public static MemoryId Parse(string s, IFormatProvider? provider) => TypedId.Parse<MemoryId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out MemoryId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
