using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>One message of a conversation.</summary>
[JsonConverter(typeof(TypedIdConverter<MessageId>))]
public readonly record struct MessageId(Guid Value) : ITypedId<MessageId>
{
    public static MessageId New() => new(Guid.CreateVersion7());

    public static MessageId From(Guid value) => new(value);

    public static MessageId Parse(string s, IFormatProvider? provider) => TypedId.Parse<MessageId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out MessageId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
