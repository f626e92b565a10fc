using System.Buffers;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Runs;

/// <summary>An event as the log holds it and every transport sends it: the same bytes, whoever reads and whenever.</summary>
/// <param name="Seq">1-based.</param>
/// <param name="Type">Such as <c>message.delta</c>.</param>
/// <param name="Data">The event's JSON in UTF-8, one line.</param>
internal readonly record struct StoredEvent(long Seq, string Type, ReadOnlyMemory<byte> Data)
{
    public const string Delta = "message.delta";

    private static readonly Dictionary<Type, string> Names = typeof(RunEvent)
        .GetCustomAttributes(typeof(System.Text.Json.Serialization.JsonDerivedTypeAttribute), inherit: false)
        .Cast<System.Text.Json.Serialization.JsonDerivedTypeAttribute>()
        .ToDictionary(attribute => attribute.DerivedType, attribute => (string)attribute.TypeDiscriminator!);

    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? scratch;

    /// <summary>True for the four types that end a log.</summary>
    public bool IsTerminal => Type is "run.completed" or "run.failed" or "run.cancelled" or "run.interrupted";

    public static StoredEvent From(RunEvent evt) =>
        new(evt.Seq, TypeOf(evt), JsonSerializer.SerializeToUtf8Bytes(evt, ContractJson.Options));

    /// <summary>The bytes that <see cref="From"/> makes of a <see cref="MessageDelta"/>, without the serializer: most events are these.</summary>
    public static StoredEvent FromDelta(RunId run, long seq, DateTimeOffset at, string text)
    {
        var (buffer, json) = scratch ??= NewScratch();
        buffer.ResetWrittenCount();
        json.Reset(buffer);
        json.WriteStartObject();
        json.WriteString("type"u8, Delta);
        json.WriteString("text"u8, text);
        json.WriteString("runId"u8, run.Value);
        json.WriteNumber("seq"u8, seq);
        json.WriteString("at"u8, at);
        json.WriteEndObject();
        json.Flush();
        return new(seq, Delta, buffer.WrittenSpan.ToArray());
    }

    public static string TypeOf(RunEvent evt) => Names[evt.GetType()];

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json) NewScratch()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        return (buffer, new(buffer, new JsonWriterOptions { Encoder = ContractJson.Options.Encoder }));
    }

    public RunEvent Parse() => JsonSerializer.Deserialize<RunEvent>(Data.Span, ContractJson.Options)!;
}
