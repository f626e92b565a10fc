using System.ComponentModel.DataAnnotations;
using System.Net;
using System.Net.Http.Headers;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>Section <c>Fetch</c>.</summary>
public sealed class FetchOptions : IValidatableObject
{
    public const string Section = "Fetch";

    /// <summary>Networks beside the public internet that may be fetched from, such as <c>10.20.0.0/16</c>. Default: none.</summary>
    public IList<string> AllowedNetworks { get; } = [];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => AllowedNetworks
        .Where(network => !IPNetwork.TryParse(network, out _))
        .Select(network => new ValidationResult($"'{network}' is no network. Write 10.20.0.0/16 or 10.20.1.2/32.", [nameof(AllowedNetworks)]));
}

/// <param name="MaxBytes">Of the body, decompressed.</param>
/// <param name="Timeout">For the whole, redirects included.</param>
/// <param name="MaxRedirects">0 to 10.</param>
public sealed record FetchLimits(long MaxBytes, TimeSpan Timeout, int MaxRedirects = 5);

/// <param name="Address">Where it came from in the end.</param>
/// <param name="MediaType">As the server claims; null when it says nothing.</param>
public sealed record Fetched(Uri Address, string? MediaType, string? Charset, byte[] Content);

/// <summary>A fetch that may not or did not happen. <see cref="Code"/> is stable; the message is safe to show and tells nothing of what is inside a network.</summary>
public sealed class FetchRefusedException(string code, string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>address_invalid, address_not_public, too_many_redirects, too_large, timeout, unreachable or status.</summary>
    public string Code { get; } = code;
}

/// <summary>GET of an address that somebody else wrote. Every hop is checked anew; thread-safe; one connection pool for the process.</summary>
public sealed class PublicFetch : IDisposable
{
    private readonly HttpClient client;

    public PublicFetch(IReadOnlyList<IPNetwork> allowed, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        client = new HttpClient(PublicAddressHandler.Create(allowed, resolve)) { Timeout = Timeout.InfiniteTimeSpan };
        client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("AgentFlow", "1.0"));
        client.DefaultRequestHeaders.Accept.ParseAdd("text/html, text/plain, text/markdown, application/pdf, application/json;q=0.9, */*;q=0.5");
    }

    /// <summary>The check that needs no network: form, scheme, credentials, port. The host is judged when it is dialled.</summary>
    /// <exception cref="FetchRefusedException">address_invalid</exception>
    public static Uri Check(string address)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new FetchRefusedException("address_invalid", "Only absolute http and https addresses can be fetched.");
        }

        if (uri.UserInfo.Length > 0)
        {
            throw new FetchRefusedException("address_invalid", "An address with credentials in it is not fetched.");
        }

        // Below 1024 only the web's own ports: mail, shells and databases are no pages.
        if (uri.Port is not (80 or 443 or >= 1024) || uri.Host.Length == 0 || address.Length > 2_048)
        {
            throw new FetchRefusedException("address_invalid", "The address has no usable host and port, or is too long.");
        }

        return uri;
    }

    /// <exception cref="FetchRefusedException">With the reason; nothing of the body is returned then.</exception>
    public async Task<Fetched> GetAsync(string address, FetchLimits limits, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(limits);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(limits.Timeout);
        try
        {
            return await FollowAsync(Check(address), limits, deadline.Token);
        }
        catch (HttpRequestException error) when (error.InnerException is FetchRefusedException refused)
        {
            throw new FetchRefusedException(refused.Code, refused.Message, error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException or InvalidDataException)
        {
            throw new FetchRefusedException("unreachable", "The address did not answer properly.", error);
        }
        catch (OperationCanceledException error) when (!ct.IsCancellationRequested)
        {
            throw new FetchRefusedException("timeout", $"The address did not answer within {limits.Timeout.TotalSeconds:0} s.", error);
        }
    }

    public void Dispose() => client.Dispose();

    private async Task<Fetched> FollowAsync(Uri address, FetchLimits limits, CancellationToken ct)
    {
        for (var hop = 0; ; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location)
            {
                if (hop >= limits.MaxRedirects)
                {
                    throw new FetchRefusedException("too_many_redirects", $"The address leads on more than {limits.MaxRedirects} times.");
                }

                // Such as "//", which is well-formed as a part and leads nowhere.
                address = Uri.TryCreate(address, location, out var next)
                    ? Check(next.AbsoluteUri)
                    : throw new FetchRefusedException("address_invalid", "The address leads on to something that is none.");
                continue;
            }

            if (!response.IsSuccessStatusCode)
            {
                throw new FetchRefusedException("status", $"The address answered {(int)response.StatusCode}.");
            }

            var type = response.Content.Headers.ContentType;
            return new Fetched(address, type?.MediaType, type?.CharSet?.Trim('"'), await ReadAsync(response.Content, limits.MaxBytes, ct));
        }
    }

    /// <summary>Counts what comes out of the decompression, not what the server claims.</summary>
    private static async Task<byte[]> ReadAsync(HttpContent content, long maxBytes, CancellationToken ct)
    {
        if (content.Headers.ContentLength > maxBytes)
        {
            throw TooLarge(maxBytes);
        }

        await using var stream = await content.ReadAsStreamAsync(ct);
        using var bytes = new MemoryStream();
        var buffer = new byte[16 * 1_024];
        int read;
        while ((read = await stream.ReadAsync(buffer, ct)) > 0)
        {
            if (bytes.Length + read > maxBytes)
            {
                throw TooLarge(maxBytes);
            }

            await bytes.WriteAsync(buffer.AsMemory(0, read), ct);
        }

        return bytes.ToArray();
    }

    private static FetchRefusedException TooLarge(long maxBytes) => new("too_large", $"The address holds more than {maxBytes:N0} bytes.");
}

public static class PublicFetchRegistration
{
    public static IServiceCollection AddPublicFetch(this IServiceCollection services)
    {
        services.AddValidatedOptions<FetchOptions>(FetchOptions.Section);
        return services.AddSingleton(provider =>
            new PublicFetch([.. provider.GetRequiredService<IOptions<FetchOptions>>().Value.AllowedNetworks.Select(IPNetwork.Parse)]));
    }
}
