using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>An API key of an account; the secret itself is never stored.</summary>
[JsonConverter(typeof(TypedIdConverter<ApiKeyId>))]
public readonly record struct ApiKeyId(Guid Value) : ITypedId<ApiKeyId>
{
    public static ApiKeyId New() => new(Guid.CreateVersion7());

    public static ApiKeyId From(Guid value) => new(value);

    public static ApiKeyId Parse(string s, IFormatProvider? provider) => TypedId.Parse<ApiKeyId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ApiKeyId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
