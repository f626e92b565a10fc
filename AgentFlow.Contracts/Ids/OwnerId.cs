using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>An account: everything that is stored belongs to exactly one owner.</summary>
[JsonConverter(typeof(TypedIdConverter<OwnerId>))]
public readonly record struct OwnerId(Guid Value) : ITypedId<OwnerId>
{
    public static OwnerId New() => new(Guid.CreateVersion7());

    public static OwnerId From(Guid value) => new(value);

    public static OwnerId Parse(string s, IFormatProvider? provider) => TypedId.Parse<OwnerId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out OwnerId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
