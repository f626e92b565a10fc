using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A named set of documents that can be shared.</summary>
[JsonConverter(typeof(TypedIdConverter<CollectionId>))]
public readonly record struct CollectionId(Guid Value) : ITypedId<CollectionId>
{
    public static CollectionId New() => new(Guid.CreateVersion7());

    public static CollectionId From(Guid value) => new(value);

    public static CollectionId Parse(string s, IFormatProvider? provider) => TypedId.Parse<CollectionId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out CollectionId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
