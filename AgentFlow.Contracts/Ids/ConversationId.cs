using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A conversation: the tree of messages that runs read and write.</summary>
[JsonConverter(typeof(TypedIdConverter<ConversationId>))]
public readonly record struct ConversationId(Guid Value) : ITypedId<ConversationId>
{
    public static ConversationId New() => new(Guid.CreateVersion7());

    public static ConversationId From(Guid value) => new(value);

    public static ConversationId Parse(string s, IFormatProvider? provider) => TypedId.Parse<ConversationId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out ConversationId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
