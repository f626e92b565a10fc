using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Receives a multipart upload and streams each file into Postgres. Parts: <c>file</c> (repeated), and before the files they are for
/// <c>tag</c> (repeated), <c>metadata</c> (a JSON object) and <c>collection</c>. A file that is refused does not stop the others.
/// </summary>
internal sealed class DocumentUpload(DocumentStore store, DocumentAccess access, OriginalStore originals, IOptions<DocumentOptions> options)
{
    private const int MaxBoundary = 70;
    private const int MaxFieldBytes = 64 * 1024;
    private const int MaxTags = 32;
    private const int MaxTagLength = 64;

    /// <exception cref="ProblemException">Nothing was accepted: 404 for the collection, 400, 413 or 415 as the first file says.</exception>
    public async Task<UploadResponse> ReceiveAsync(HttpContext context, OwnerId caller, CancellationToken ct)
    {
        var reader = new MultipartReader(Boundary(context.Request), context.Request.Body) { HeadersCountLimit = 16, HeadersLengthLimit = 16 * 1024 };
        var state = new Received();
        try
        {
            await ReadSectionsAsync(reader, caller, state, ct);
        }
        catch (Exception error) when (error is (IOException and not BadHttpRequestException) or InvalidDataException)
        {
            throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_multipart", "The multipart body is cut off or malformed.");
        }

        if (state.Items.Count == 0)
            throw Refusals.Invalid("file", "Send at least one file in a part named file.");
        if (state.Items.TrueForAll(item => item.Error is not null))
            throw state.FirstRefusal!;
        return new UploadResponse(state.Items);
    }

    /// <summary>One file that takes a document's place. Null: no such document.</summary>
    /// <exception cref="ProblemException">400, 409, 413 or 415.</exception>
    public async Task<UploadedDocument?> ReplaceAsync(HttpContext context, OwnerId owner, DocumentId id, CancellationToken ct)
    {
        var reader = new MultipartReader(Boundary(context.Request), context.Request.Body) { HeadersCountLimit = 16, HeadersLengthLimit = 16 * 1024 };
        var section = await reader.ReadNextSectionAsync(ct);
        if (section is null || !ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition) || !disposition.IsFileDisposition())
            throw Refusals.Invalid("file", "Send one file in a part named file.");
        var file = await ReceiveFileAsync(section.Body, NameOf(disposition), owner, ct);
        var replaced = await store.ReplaceAsync(owner, id, file, ct);
        if (replaced is null)
            await originals.LeaveAsync(owner.Value, file.Original.Id, ct);
        return replaced;
    }

    private async Task ReadSectionsAsync(MultipartReader reader, OwnerId caller, Received state, CancellationToken ct)
    {
        while (await reader.ReadNextSectionAsync(ct) is { } section)
        {
            if (!ContentDispositionHeaderValue.TryParse(section.ContentDisposition, out var disposition))
                throw Refusals.Invalid("file", "A part has no Content-Disposition.");
            if (disposition.IsFileDisposition())
                await ReadFileAsync(section, disposition, await access.TargetAsync(caller, state.Collection, ct), state, ct);
            else
                await ReadFieldAsync(section, HeaderUtilities.RemoveQuotes(disposition.Name).ToString(), state, ct);
        }
    }

    private async Task ReadFileAsync(MultipartSection section, ContentDispositionHeaderValue disposition, UploadTarget target, Received state, CancellationToken ct)
    {
        if (state.Items.Count >= options.Value.MaxFilesPerUpload)
            throw new ProblemException(StatusCodes.Status413PayloadTooLarge, "too_many_files", $"One upload takes {options.Value.MaxFilesPerUpload} files.");
        var name = NameOf(disposition);
        try
        {
            var file = await ReceiveFileAsync(section.Body, name, target.Owner, ct);
            state.Items.Add(await store.AddAsync(target, file with { Tags = [.. state.Tags], Metadata = state.Metadata }, ct));
        }
        catch (ProblemException refusal) when (refusal.Status is 400 or 413 or 415)
        {
            state.FirstRefusal ??= refusal;
            state.Items.Add(new UploadedDocument { Name = name, Error = refusal.Message });
        }
    }

    private static string NameOf(ContentDispositionHeaderValue disposition)
    {
        var sent = disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName;
        return FileNames.Clean(HeaderUtilities.RemoveQuotes(sent).ToString());
    }

    private async Task<NewDocument> ReceiveFileAsync(Stream body, string name, OwnerId owner, CancellationToken ct)
    {
        var leading = new byte[DocumentKinds.LeadingBytes];
        var length = await body.ReadAtLeastAsync(leading, leading.Length, throwOnEndOfStream: false, ct);
        if (length == 0)
            throw new ProblemException(StatusCodes.Status400BadRequest, "empty_file", $"{name} is empty.");
        var kind = DocumentKinds.Decide(name, leading.AsSpan(0, length)) ?? throw new ProblemException(
            StatusCodes.Status415UnsupportedMediaType, "unsupported_file_type", $"{name} is of a type that is not supported here, or is not what its name says. {DocumentKinds.Accepted}");
        var original = await originals.WriteAsync(owner.Value, leading.AsMemory(0, length), body, options.Value.MaxFileBytes, ct) ?? throw new ProblemException(
            StatusCodes.Status413PayloadTooLarge, "too_large", $"{name} is larger than {options.Value.MaxFileBytes:N0} bytes.");
        return new NewDocument { Name = name, Kind = kind, Original = original };
    }

    private static async Task ReadFieldAsync(MultipartSection section, string name, Received state, CancellationToken ct)
    {
        var buffer = new byte[MaxFieldBytes + 1];
        var length = await section.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, ct);
        if (length > MaxFieldBytes)
            throw new ProblemException(StatusCodes.Status413PayloadTooLarge, "too_large", $"The field {name} is larger than {MaxFieldBytes:N0} bytes.");
        var value = Encoding.UTF8.GetString(buffer, 0, length).Trim();
        switch (name)
        {
            case "tag":
                if (value.Length is 0 or > MaxTagLength || value.Any(char.IsControl) || state.Tags.Count >= MaxTags)
                    throw Refusals.Invalid("tag", $"A tag has 1 to {MaxTagLength} characters, and an upload at most {MaxTags} tags.");
                state.Tags.Add(value);
                break;
            case "metadata":
                state.Metadata = Metadata(value);
                break;
            case "collection":
                state.Collection = CollectionId.TryParse(value, null, out var collection) ? collection : throw Refusals.Invalid("collection", "collection is a collection's id.");
                break;
            default:
                throw Refusals.Invalid(name.Length is > 0 and <= 64 ? name : "form", "An upload has the parts file, tag, metadata and collection.");
        }
    }

    private static JsonElement Metadata(string value)
    {
        try
        {
            var parsed = JsonElement.Parse(value, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 16 });
            if (parsed.ValueKind == JsonValueKind.Object && !value.Contains("\\u0000", StringComparison.Ordinal))
                return parsed;
        }
        catch (JsonException)
        {
            // Refused below.
        }

        throw Refusals.Invalid("metadata", "metadata is a JSON object without duplicate members or U+0000, nested at most 16 deep.");
    }

    private static string Boundary(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            throw new ProblemException(StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "Send multipart/form-data with the files in parts named file.");
        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).ToString();
        return boundary.Length is > 0 and <= MaxBoundary
            ? boundary
            : throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_multipart", $"The multipart boundary has 1 to {MaxBoundary} characters.");
    }

    private sealed class Received
    {
        public List<UploadedDocument> Items { get; } = [];

        public List<string> Tags { get; } = [];

        public JsonElement? Metadata { get; set; }

        public CollectionId? Collection { get; set; }

        public ProblemException? FirstRefusal { get; set; }
    }
}
