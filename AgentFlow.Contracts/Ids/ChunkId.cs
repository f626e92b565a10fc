using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A passage of a document, addressed by exact offsets.</summary>
[JsonConverter(typeof(TypedIdConverter<ChunkId>))]
public readonly record struct ChunkId(Guid Value) : ITypedId<ChunkId>
{
    public static ChunkId New() => new(Guid.CreateVersion7());

    public static ChunkId From(Guid value) => new(value);

    public static ChunkId Parse(string s, IFormatProvider? provider) => TypedId.Parse<ChunkId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ChunkId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
