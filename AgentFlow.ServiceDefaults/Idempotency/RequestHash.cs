using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.ServiceDefaults.Idempotency;

/// <summary>
/// Tells one request from another: its path with the ids in it, its query, and what its body says. Of a form that is names, file names and contents
/// in their order; the boundary between them is new in each request of most clients, and says nothing.
/// </summary>
internal static class RequestHash
{
    private const int BufferSize = 16 * 1024;

    /// <summary>As our own readers of forms have them; what is beyond is refused by these, and told apart by its bytes.</summary>
    private const int MaxPartHeaders = 16;

    private const int MaxPartHeaderBytes = 16 * 1024;
    private const int MaxBoundary = 70;

    /// <summary>Reads the body to its end and goes back to its beginning; holds a buffer of it in memory.</summary>
    /// <param name="request">Its body can be read again.</param>
    /// <param name="ct">Ends the reading.</param>
    public static async Task<byte[]> OfAsync(HttpRequest request, CancellationToken ct)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var isForm = await TryAppendFormAsync(hash, request, ct);
        request.Body.Position = 0;
        if (!isForm)
        {
            // Nothing of a form that turned out to be malformed may stay.
            hash.GetHashAndReset();
            AppendTarget(hash, request);
            await AppendAsync(hash, request.Body, ct);
            request.Body.Position = 0;
        }

        return hash.GetHashAndReset();
    }

    /// <returns>False: the body is no form, or a malformed one.</returns>
    private static async Task<bool> TryAppendFormAsync(IncrementalHash hash, HttpRequest request, CancellationToken ct)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase)
            || HeaderUtilities.RemoveQuotes(type.Boundary).ToString() is not { Length: > 0 and <= MaxBoundary } boundary)
        {
            return false;
        }

        AppendTarget(hash, request);
        var reader = new MultipartReader(boundary, request.Body) { HeadersCountLimit = MaxPartHeaders, HeadersLengthLimit = MaxPartHeaderBytes };
        try
        {
            while (await reader.ReadNextSectionAsync(ct) is { } section)
            {
                if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition))
                {
                    return false;
                }

                AppendText(hash, HeaderUtilities.RemoveQuotes(disposition.Name).ToString());
                AppendText(hash, HeaderUtilities.RemoveQuotes(disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName).ToString());
                using var content = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                await AppendAsync(content, section.Body, ct);
                hash.AppendData(content.GetHashAndReset());
            }

            return true;
        }
        catch (Exception error) when (error is (IOException and not BadHttpRequestException) or InvalidDataException)
        {
            return false;
        }
    }

    private static void AppendTarget(IncrementalHash hash, HttpRequest request) => hash.AppendData(Encoding.UTF8.GetBytes($"{request.Path}{request.QueryString}\n"));

    /// <summary>With its length before it, so that no two forms look alike.</summary>
    private static void AppendText(IncrementalHash hash, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }

    private static async Task AppendAsync(IncrementalHash hash, Stream body, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            for (int read; (read = await body.ReadAsync(buffer, ct)) > 0;)
            {
                hash.AppendData(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
