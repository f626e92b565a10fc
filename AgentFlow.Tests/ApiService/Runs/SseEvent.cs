using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>One event as a client reads it.</summary>
internal sealed record SseEvent(string Id, string Type, string Data)
{
    public RunId RunId => RunId.Parse(Id[..Id.IndexOf('.', StringComparison.Ordinal)], null);

    public long Seq => long.Parse(Id.AsSpan(Id.IndexOf('.', StringComparison.Ordinal) + 1), System.Globalization.CultureInfo.InvariantCulture);

    public RunEvent Parsed => JsonSerializer.Deserialize<RunEvent>(Data, ContractJson.Lenient)!;

    public bool IsTerminal => Parsed.IsTerminal;

    public static async Task<List<SseEvent>> ReadAllAsync(HttpResponseMessage response) =>
        await ReadAsync(response).ToListAsync(TestContext.Current.CancellationToken);

    /// <summary>Comments are skipped; the enumeration ends with the response.</summary>
    public static async IAsyncEnumerable<SseEvent> ReadAsync(HttpResponseMessage response)
    {
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var (id, type, data) = ("", "", "");
        while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.Length == 0 && data.Length > 0)
            {
                yield return new(id, type, data);
                (id, type, data) = ("", "", "");
            }
            else if (line.StartsWith("id: ", StringComparison.Ordinal))
                id = line[4..];
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
                type = line[7..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
                data = line[6..];
        }
    }

    public static string TextOf(IEnumerable<SseEvent> events) =>
        string.Concat(events.Select(evt => evt.Parsed).OfType<MessageDelta>().Select(delta => delta.Text));
}
