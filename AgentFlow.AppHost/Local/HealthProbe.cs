using System.Net;
using System.Net.Sockets;

namespace AgentFlow.AppHost.Local;

/// <summary>Asks processes over HTTP whether they serve.</summary>
internal sealed class HealthProbe : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = Patience };

    /// <summary>True for an answer with status 200; nothing that listens yet is no error.</summary>
    public async Task<bool> IsHealthyAsync(Uri address, CancellationToken ct)
    {
        if (!await ListensAsync(address.Port))
            return false;
        try
        {
            using var answer = await _http.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, ct);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>
    /// Whether a connection to the port on loopback is taken, without an exception for one that is not: while three services start
    /// there are a hundred of those a second. (The kernel's table of listeners tells it too, at 12 ms of CPU for each look.)
    /// </summary>
    private static async Task<bool> ListensAsync(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var attempt = new SocketAsyncEventArgs { RemoteEndPoint = new IPEndPoint(IPAddress.Loopback, port) };
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        attempt.Completed += (_, _) => done.SetResult();
        if (socket.ConnectAsync(attempt))
            await done.Task;
        return attempt.SocketError == SocketError.Success;
    }

    /// <summary>Whether no account exists yet; true also when the service does not say, so that the token is never missed.</summary>
    public async Task<bool> NeedsSetupAsync(Uri api, CancellationToken ct)
    {
        try
        {
            var answer = await _http.GetStringAsync(new Uri(api, "/api/auth/registration"), ct);
            using var json = System.Text.Json.JsonDocument.Parse(answer);
            return !json.RootElement.TryGetProperty("needsSetup", out var needs) || needs.GetBoolean();
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException or System.Text.Json.JsonException)
        {
            return true;
        }
    }

    public void Dispose() => _http.Dispose();
}
