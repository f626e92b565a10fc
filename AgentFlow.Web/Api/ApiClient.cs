using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.Web.Sessions;

namespace AgentFlow.Web.Api;

/// <summary>
/// Calls the API as the signed-in account: adds the access token, renews it once when it was refused, and turns every refusal into
/// an <see cref="ApiException"/>. Reads leniently, so that an API that is newer by a member still serves this front end. Thread-safe.
/// </summary>
internal sealed class ApiClient(HttpClient http, SessionAccess session, FrontEndSignature signature)
{
    /// <summary>For one try of an ordinary call; streams and uploads have limits of their own.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private const int PageSize = 100;

    private const int MostEntries = 2_000;

    /// <summary>How soon a socket asks whether the other side is still there, and how long it waits for an answer.</summary>
    private static readonly TimeSpan SocketKeepAlive = TimeSpan.FromSeconds(10);

    public Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        SendAsync<T>(HttpMethod.Get, path, null, null, cancellationToken);

    /// <summary>A whole list that people make by hand, page after page; the first <see cref="MostEntries"/> of a longer one.</summary>
    /// <param name="path">Without a query.</param>
    public async Task<IReadOnlyList<T>> GetAllAsync<T>(string path, CancellationToken cancellationToken)
    {
        var all = new List<T>();
        string? cursor = null;
        do
        {
            var more = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            var page = await GetAsync<Page<T>>($"{path}?limit={PageSize}{more}", cancellationToken);
            all.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null && all.Count < MostEntries);
        return all;
    }

    public async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, string? idempotencyKey, CancellationToken cancellationToken)
    {
        using var response = await OpenAsync(() => Request(method, path, body, idempotencyKey), cancellationToken);
        return await ReadAsync<T>(response, cancellationToken);
    }

    /// <summary>What an opened response says.</summary>
    /// <exception cref="ApiException">It can not be read, or its end never came.</exception>
    public static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            return await response.Content.ReadFromJsonAsync<T>(ContractJson.Lenient, cancellationToken)
                ?? throw new JsonException("The answer was null.");
        }
        catch (JsonException fault)
        {
            throw new ApiException(
                new ApiProblem((int)response.StatusCode, "unreadable", "AgentFlow's API gave an answer that could not be read.", TraceId()), fault);
        }
        catch (Exception fault) when (IsConnectionFault(fault, cancellationToken))
        {
            throw new ApiException(ApiProblem.Unreachable with { TraceId = TraceId() }, fault);
        }
    }

    public async Task SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var response = await OpenAsync(() => Request(method, path, body, null), cancellationToken);
    }

    /// <summary>The opened response, status checked, content unread. The caller disposes it.</summary>
    /// <param name="request">Makes the request; called again when the token had to be renewed.</param>
    public async Task<HttpResponseMessage> OpenAsync(Func<HttpRequestMessage> request, CancellationToken cancellationToken)
    {
        var token = await session.AccessTokenAsync(refused: null, cancellationToken);
        var response = await SendOnceAsync(request(), token, cancellationToken);
        if (response.StatusCode is HttpStatusCode.Unauthorized && token is not null)
        {
            response.Dispose();
            token = await session.AccessTokenAsync(refused: token, cancellationToken);
            response = await SendOnceAsync(request(), token, cancellationToken);
        }

        if (response.IsSuccessStatusCode)
            return response;
        using (response)
            throw new ApiException(await RefusalAsync(response, cancellationToken));
    }

    private static async Task<ApiProblem> RefusalAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var text = "";
        try
        {
            text = await response.Content.ReadAsStringAsync(cancellationToken);
        }
        catch (Exception fault) when (IsConnectionFault(fault, cancellationToken))
        {
            // The status tells enough.
        }

        return ApiProblem.Read((int)response.StatusCode, text, TraceId()) with { RetryAfter = response.Headers.RetryAfter?.Delta };
    }

    /// <summary>Connects a socket to an address that a ticket is part of, on behalf of the same browser as all other calls.</summary>
    /// <exception cref="WebSocketException">The API refused, or is not there.</exception>
    public async Task ConnectAsync(ClientWebSocket socket, string path, CancellationToken cancellationToken)
    {
        var address = new UriBuilder(new Uri(http.BaseAddress!, path));
        address.Scheme = address.Scheme is "https" ? "wss" : "ws";
        using var signed = new HttpRequestMessage(HttpMethod.Get, address.Uri);
        await signature.AddAsync(signed);
        foreach (var (name, values) in signed.Headers)
            socket.Options.SetRequestHeader(name, string.Join(',', values));
        socket.Options.Proxy = null;
        (socket.Options.KeepAliveInterval, socket.Options.KeepAliveTimeout) = (SocketKeepAlive, SocketKeepAlive);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Timeout);
        try
        {
            await socket.ConnectAsync(address.Uri, limit.Token);
        }
        catch (OperationCanceledException slow) when (!cancellationToken.IsCancellationRequested)
        {
            throw new WebSocketException("The API did not answer in time.", slow);
        }
    }

    public static HttpRequestMessage Request(HttpMethod method, string path, object? body, string? idempotencyKey)
    {
        var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = JsonContent.Create(body, body.GetType(), options: ContractJson.Options);
        if (idempotencyKey is not null)
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        return request;
    }

    /// <summary>As <see cref="Request"/>, for an answer or a body that is a stream.</summary>
    public static HttpRequestMessage Streaming(HttpMethod method, string path, object? body = null, string? idempotencyKey = null)
    {
        var request = Request(method, path, body, idempotencyKey);
        request.Options.Set(ServiceResilience.Streaming, true);
        return request;
    }

    /// <summary>True for what another try may cure: no connection, a broken one, or a time limit that was not the caller's.</summary>
    public static bool IsConnectionFault(Exception fault, CancellationToken cancellationToken) =>
        fault is HttpRequestException or IOException or TimeoutException
        || (fault is OperationCanceledException && !cancellationToken.IsCancellationRequested);

    private async Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, string? token, CancellationToken cancellationToken)
    {
        using (request)
        {
            await signature.AddAsync(request);
            if (token is not null)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            try
            {
                return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            }
            catch (Exception fault) when (IsConnectionFault(fault, cancellationToken))
            {
                throw new ApiException(ApiProblem.Unreachable with { TraceId = TraceId() }, fault);
            }
        }
    }

    private static string? TraceId() => Activity.Current?.TraceId.ToString();
}
