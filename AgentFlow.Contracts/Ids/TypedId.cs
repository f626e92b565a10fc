using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>An id that can not be mistaken for another kind of id. On the wire it is the plain UUID text (v7 when we made it).</summary>
public interface ITypedId<TSelf> : IParsable<TSelf>
    where TSelf : struct, ITypedId<TSelf>
{
    Guid Value { get; }

    static abstract TSelf From(Guid value);
}

/// <summary>Writes a typed id as its UUID text, also as a dictionary key; refuses anything that is not a UUID.</summary>
public sealed class TypedIdConverter<TId> : JsonConverter<TId>
    where TId : struct, ITypedId<TId>
{
    public override TId Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => TId.From(reader.GetGuid());

    public override void Write(Utf8JsonWriter writer, TId value, JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteStringValue(value.Value);
    }
}

internal static class TypedId
{
    internal static TId Parse<TId>(string text)
        where TId : struct, ITypedId<TId> => TId.From(Guid.ParseExact(text, "D"));

    internal static bool TryParse<TId>([NotNullWhen(true)] string? text, out TId id)
        where TId : struct, ITypedId<TId>
    {
        var parsed = Guid.TryParseExact(text, "D", out var value);
        id = TId.From(value);
        return parsed;
    }
}
