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

    /// <summary>True for the four types that end a log.</summary>
    public bool IsTerminal => Type is "run.completed" or "run.failed" or "run.cancelled" or "run.interrupted";

    public static StoredEvent From(RunEvent evt) =>
        new(evt.Seq, TypeOf(evt), JsonSerializer.SerializeToUtf8Bytes(evt, ContractJson.Options));

    public static string TypeOf(RunEvent evt) => Names[evt.GetType()];

    public RunEvent Parse() => JsonSerializer.Deserialize<RunEvent>(Data.Span, ContractJson.Options)!;
}
