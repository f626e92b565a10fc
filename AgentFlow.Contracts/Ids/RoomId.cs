using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A conversation of several people and an agent.</summary>
[JsonConverter(typeof(TypedIdConverter<RoomId>))]
public readonly record struct RoomId(Guid Value) : ITypedId<RoomId>
{
    public static RoomId New() => new(Guid.CreateVersion7());

    public static RoomId From(Guid value) => new(value);

    public static RoomId Parse(string s, IFormatProvider? provider) => TypedId.Parse<RoomId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out RoomId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
