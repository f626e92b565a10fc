using System.Text.Json;
using AgentFlow.Contracts.Documents;

namespace AgentFlow.ApiService.Documents;

internal static class DocumentPatches
{
    private const int MaxTags = 32;
    private const int MaxTagLength = 64;
    private const int MaxMetadataCharacters = 64 * 1024;

    /// <summary>With the name cleaned as an upload's.</summary>
    /// <exception cref="ServiceDefaults.Problems.ProblemException">400, naming the member.</exception>
    public static PatchDocumentRequest Validate(PatchDocumentRequest request)
    {
        if (request.Name is { } name && (name.Length == 0 || name.Length > FileNames.MaxLength))
            throw Refusals.Invalid("name", $"name has 1 to {FileNames.MaxLength} characters.");
        CheckTags(request.Tags);
        if (request.Metadata is { } metadata && (metadata.ValueKind != JsonValueKind.Object || metadata.GetRawText().Length > MaxMetadataCharacters))
            throw Refusals.Invalid("metadata", $"metadata is a JSON object of at most {MaxMetadataCharacters:N0} characters.");
        return request.Name is null ? request : request with { Name = FileNames.Clean(request.Name) };
    }

    public static void CheckTags(IReadOnlyList<string>? tags)
    {
        if (tags is not null && (tags.Count > MaxTags || tags.Any(tag => string.IsNullOrWhiteSpace(tag) || tag.Length > MaxTagLength || tag.Any(char.IsControl))))
            throw Refusals.Invalid("tags", $"At most {MaxTags} tags of 1 to {MaxTagLength} characters.");
    }
}
