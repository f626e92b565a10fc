using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.Api;

/// <summary>
/// Reads run events off a response body:
/// <code>
/// id: 0193a5b2-....7
/// event: message.delta
/// data: {"type":"message.delta","text":"Hello","runId":"0193a5b2-...","seq":7,"at":"..."}
/// </code>
/// Types that this build does not know are skipped, as the contract asks.
/// </summary>
internal static class RunEventReader
{
    private static readonly HashSet<string> KnownTypes = typeof(RunEvent)
        .GetCustomAttributes(typeof(JsonDerivedTypeAttribute), inherit: false)
        .Cast<JsonDerivedTypeAttribute>()
        .Select(attribute => attribute.TypeDiscriminator as string ?? "")
        .ToHashSet(StringComparer.Ordinal);

    private static readonly JsonSerializerOptions Json = new(ContractJson.Lenient) { AllowOutOfOrderMetadataProperties = true };

    public static async IAsyncEnumerable<RunEvent> ReadAsync(Stream body, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            if (KnownTypes.Contains(item.EventType) && JsonSerializer.Deserialize<RunEvent>(item.Data, Json) is { } read)
                yield return read;
        }
    }
}
