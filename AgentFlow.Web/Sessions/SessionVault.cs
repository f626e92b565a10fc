using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.Sessions;

/// <summary>
/// Keeps sessions and data-protection keys with the API, so that a restart signs nobody out and several Web processes share them. What is sent
/// is sealed with a key derived from <c>Auth:Keys</c>; the database never sees a token. Calls are signed as this service. Thread-safe.
/// </summary>
internal sealed class SessionVault(IHttpClientFactory clients, JwtCodec codec, SecretSeal seal)
{
    private const string Purpose = "agentflow web session";
    private const string KeyPurpose = "agentflow web key ring";

    public async Task<WebSession?> FindAsync(string key, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Get, "internal/web/sessions/" + key, null, cancellationToken);
        if (response.StatusCode is HttpStatusCode.NotFound)
            return null;
        var stored = await ReadAsync(response, cancellationToken);
        return stored is not null && seal.TryOpen(Purpose, stored.Payload, out var opened) ? Read(opened) : null;
    }

    /// <summary>Null for a session that another version has written: its browser signs in anew.</summary>
    private static WebSession? Read(byte[] opened)
    {
        try
        {
            return JsonSerializer.Deserialize<WebSession>(opened, ContractJson.Lenient);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <exception cref="ApiException">Something else answered than the API, or it failed: as good as no answer.</exception>
    private static async Task<StoredWebSession?> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            response.EnsureSuccessStatusCode();
            return await response.Content.ReadFromJsonAsync<StoredWebSession>(ContractJson.Lenient, cancellationToken);
        }
        catch (Exception fault) when (fault is JsonException || ApiClient.IsConnectionFault(fault, cancellationToken))
        {
            throw new ApiException(ApiProblem.Unreachable, fault);
        }
    }

    public async Task KeepAsync(string key, WebSession session, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        var payload = seal.Close(Purpose, JsonSerializer.SerializeToUtf8Bytes(session, ContractJson.Options));
        using var response = await SendAsync(
            HttpMethod.Put, "internal/web/sessions/" + key, new StoredWebSession(session.User.Id, payload, expiresAt), cancellationToken);
        Check(response);
    }

    public async Task DropAsync(string key, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(HttpMethod.Delete, "internal/web/sessions/" + key, null, cancellationToken);
        Check(response);
    }

    /// <exception cref="ApiException">The API did not do it: as good as no answer.</exception>
    private static void Check(HttpResponseMessage response)
    {
        if (!response.IsSuccessStatusCode)
            throw new ApiException(ApiProblem.Unreachable);
    }

    /// <summary>False while the API does not answer, or answers with something else than keys.</summary>
    public async Task<bool> IsReachableAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var response = await SendAsync(HttpMethod.Get, "internal/web/keys", null, cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (ApiException)
        {
            return false;
        }
    }

    /// <summary>Data protection reads and writes its keys synchronously, seldom: at the start and every 90 days.</summary>
    public IReadOnlyList<byte[]> ReadKeys()
    {
        using var request = Signed(HttpMethod.Get, "internal/web/keys", null);
        using var response = clients.CreateClient(nameof(VaultClient)).Send(request);
        response.EnsureSuccessStatusCode();
        using var body = response.Content.ReadAsStream();
        var stored = JsonSerializer.Deserialize<Page<StoredWebKey>>(body, ContractJson.Lenient);
        return [.. (stored?.Items ?? []).Select(Open).OfType<byte[]>()];
    }

    public void KeepKey(string name, byte[] key)
    {
        using var request = Signed(HttpMethod.Post, "internal/web/keys", new StoredWebKey(name, seal.Close(KeyPurpose, key)));
        using var response = clients.CreateClient(nameof(VaultClient)).Send(request);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Null for a key that was sealed with a signing key which has left the ring; data protection makes a new one.</summary>
    private byte[]? Open(StoredWebKey stored) => seal.TryOpen(KeyPurpose, stored.Payload, out var opened) ? opened : null;

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? body, CancellationToken cancellationToken)
    {
        using var request = Signed(method, path, body);
        try
        {
            return await clients.CreateClient(nameof(VaultClient)).SendAsync(request, cancellationToken);
        }
        catch (Exception fault) when (ApiClient.IsConnectionFault(fault, cancellationToken))
        {
            throw new ApiException(ApiProblem.Unreachable, fault);
        }
    }

    private HttpRequestMessage Signed(HttpMethod method, string path, object? body)
    {
        var request = ApiClient.Request(method, path, body, null);
        FrontEnd.Sign(request, codec, client: null);
        return request;
    }
}
