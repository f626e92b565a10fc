using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>One page of the public web as a document. Off unless <c>Documents:AllowUrls</c> is on; no address of a private network is reached.</summary>
internal sealed class UrlIngestion(DocumentStore store, DocumentAccess access, OriginalStore originals, PublicFetch fetch, IOptions<DocumentOptions> options)
{
    private const long MaxBytes = 20L * 1024 * 1024;

    /// <summary>Characters of the longest name of an encoding that is listened to.</summary>
    private const int MaxCharset = 40;

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    /// <exception cref="ProblemException">403 switched off, 404 no collection to write to, 400 no address to fetch, 415 of no known type, 422 not fetched.</exception>
    public async Task<UploadResponse> ReceiveAsync(OwnerId caller, IngestUrlRequest request, CancellationToken ct)
    {
        if (!options.Value.AllowUrls)
            throw new ProblemException(StatusCodes.Status403Forbidden, "urls_disabled", "Fetching addresses is switched off on this server (Documents:AllowUrls).");
        DocumentPatches.CheckTags(request.Tags);
        var target = await access.TargetAsync(caller, request.Collection, ct);
        var page = await FetchAsync(request.Url, ct);
        var name = NameOf(page);
        var kind = DocumentKinds.Decide(name, page.Content.AsSpan(0, Math.Min(page.Content.Length, DocumentKinds.LeadingBytes))) ?? throw new ProblemException(
            StatusCodes.Status415UnsupportedMediaType, "unsupported_file_type", "What is at the address is of a type that is not supported here.");
        if (page.Content.Length == 0)
            throw new ProblemException(StatusCodes.Status422UnprocessableEntity, "empty_file", "What is at the address is empty.");
        using var content = new MemoryStream(page.Content, writable: false);
        var original = await originals.WriteAsync(target.Owner.Value, default, content, options.Value.MaxFileBytes, ct)
            ?? throw new ProblemException(StatusCodes.Status413PayloadTooLarge, "too_large", "What is at the address is too large.");
        var document = new NewDocument
        {
            Name = name,
            Kind = kind,
            Original = original,
            Tags = request.Tags ?? [],
            SourceUrl = page.Address.AbsoluteUri,
            FetchedAs = page.Charset is { Length: <= MaxCharset } charset ? charset : string.Empty,
        };
        return new UploadResponse([await store.AddAsync(target, document, ct)]);
    }

    private async Task<Fetched> FetchAsync(string url, CancellationToken ct)
    {
        try
        {
            return await fetch.GetAsync(url, new FetchLimits(MaxBytes, Timeout), ct);
        }
        catch (FetchRefusedException refused)
        {
            var status = refused.Code is "address_invalid" or "address_not_public" ? StatusCodes.Status400BadRequest : StatusCodes.Status422UnprocessableEntity;
            throw new ProblemException(status, refused.Code, refused.Message);
        }
    }

    /// <summary>The last segment of the address, with the extension that its media type asks for where it has none that is known.</summary>
    private static string NameOf(Fetched page)
    {
        var last = Uri.UnescapeDataString(page.Address.Segments[^1].Trim('/'));
        var stem = FileNames.Clean(last.Length == 0 ? page.Address.Host : last);
        var extension = page.MediaType switch
        {
            "text/html" or "application/xhtml+xml" => ".html",
            "application/pdf" => ".pdf",
            "application/json" => ".json",
            "text/markdown" => ".md",
            "text/csv" => ".csv",
            "text/plain" => ".txt",
            _ => string.Empty,
        };
        return extension.Length == 0 || stem.EndsWith(extension, StringComparison.OrdinalIgnoreCase) ? stem : stem + extension;
    }
}
