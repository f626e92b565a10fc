using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>Calls Mem0's hosted API. Thread-safe.</summary>
internal sealed class Mem0Api(IHttpClientFactory clients, Mem0BackendOptions options)
{
    internal const string ClientName = "mem0";

    /// <summary>A search at Mem0 may rerank; an add may wait for its store.</summary>
    internal static readonly TimeSpan Timeout = TimeSpan.FromSeconds(60);

    private const int MaxDetail = 500;

    /// <returns>The answer's body; null for 404.</returns>
    /// <exception cref="ProblemException">400, 502 or 503 with a code that starts with <c>mem0_</c>.</exception>
    internal async Task<JsonNode?> SendAsync(HttpMethod method, string path, JsonNode? body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, new Uri(options.Address, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Token", options.ApiKey);
        if (body is not null)
            request.Content = JsonContent.Create(body, options: Mem0Shapes.Options);
        try
        {
            // With its length: some gateways take no chunked body.
            if (request.Content is not null)
                await request.Content.LoadIntoBufferAsync(ct);
            using var response = await clients.CreateClient(ClientName).SendAsync(request, ct);
            if (response.StatusCode == HttpStatusCode.NotFound)
                return null;
            var answer = await response.Content.ReadAsStringAsync(ct);
            if (!response.IsSuccessStatusCode)
                throw Refusal(response, answer);
            return string.IsNullOrWhiteSpace(answer) ? new JsonObject() : JsonNode.Parse(answer);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException || (error is OperationCanceledException && !ct.IsCancellationRequested))
        {
            throw new ProblemException(StatusCodes.Status503ServiceUnavailable, "mem0_unavailable", "Mem0 did not answer, or not in its own form.") { RetryAfter = TimeSpan.FromSeconds(5) };
        }
    }

    private static ProblemException Refusal(HttpResponseMessage response, string answer) => (int)response.StatusCode switch
    {
        401 or 403 => new ProblemException(StatusCodes.Status502BadGateway, "mem0_refused", "Mem0 does not take the service's key."),
        429 => new ProblemException(StatusCodes.Status503ServiceUnavailable, "mem0_busy", "Mem0 takes no more requests for now.")
        {
            RetryAfter = response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(5),
        },
        >= 500 => new ProblemException(StatusCodes.Status503ServiceUnavailable, "mem0_unavailable", string.Create(CultureInfo.InvariantCulture, $"Mem0 answered {(int)response.StatusCode}."))
        {
            RetryAfter = TimeSpan.FromSeconds(5),
        },
        413 => new ProblemException(StatusCodes.Status413PayloadTooLarge, "mem0_too_large", "The request is larger than Mem0 takes."),
        _ => new ProblemException(StatusCodes.Status400BadRequest, "mem0_invalid", $"Mem0 refused the request: {Shorten(answer)}"),
    };

    private static string Shorten(string answer) => answer.Length <= MaxDetail ? answer : answer[..MaxDetail];
}
