using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.ApiService.Memories;

/// <summary>
/// Passes a request on to the memory service for one owner, and its answer back as it is: status, body and type. A service that can not be
/// reached is 503 with Retry-After.
/// </summary>
internal sealed class MemoryForwarder(HttpClient http, InternalTokens tokens)
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    private static readonly string[] Scopes = ["memory.read", "memory.write"];

    public async Task SendAsync(HttpContext context, OwnerId owner, HttpMethod method, string path, JsonNode? body)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body.ToJsonString(ContractJson.Options), System.Text.Encoding.UTF8, "application/json");
        await SendAsync(context, owner, request);
    }

    /// <summary>With the body as it comes, which is not held in memory.</summary>
    public async Task PassAsync(HttpContext context, OwnerId owner, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StreamContent(context.Request.Body) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
        request.Content.Headers.ContentLength = context.Request.ContentLength;
        request.Options.Set(ServiceResilience.Streaming, true);
        await SendAsync(context, owner, request);
    }

    private async Task SendAsync(HttpContext context, OwnerId owner, HttpRequestMessage request)
    {
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", tokens.Issue(owner.Value, Scopes));
        if (context.Request.Headers["Idempotency-Key"] is [{ } key])
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            if (response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                throw Unavailable("The memory service does not accept this API's tokens; Auth:Keys must be the same in both.");
            context.Response.StatusCode = (int)response.StatusCode;
            context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
            if (response.Headers.RetryAfter is { } wait)
                context.Response.Headers.RetryAfter = wait.ToString();
            if (response.Content.Headers.ContentLength is not 0)
                await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (HttpRequestException error) when (error.InnerException is BadHttpRequestException refused)
        {
            // The caller's own body broke off or is too long.
            throw new BadHttpRequestException(refused.Message, refused.StatusCode, error);
        }
        catch (HttpRequestException) when (!context.Response.HasStarted)
        {
            throw Unavailable("The memory service does not answer.");
        }
    }

    private static ProblemException Unavailable(string detail) =>
        new(StatusCodes.Status503ServiceUnavailable, "memory_unavailable", detail) { RetryAfter = TimeSpan.FromSeconds(2) };
}
