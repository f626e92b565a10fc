using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>An uploaded document.</summary>
[JsonConverter(typeof(TypedIdConverter<DocumentId>))]
public readonly record struct DocumentId(Guid Value) : ITypedId<DocumentId>
{
    public static DocumentId New() => new(Guid.CreateVersion7());

    public static DocumentId From(Guid value) => new(value);

    public static DocumentId Parse(string s, IFormatProvider? provider) => TypedId.Parse<DocumentId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out DocumentId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
