using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Memories;

/// <summary>The query string of <c>GET /api/memories</c>.</summary>
internal sealed record ListingQuery(
    string? UserId, string? AgentId, string? SessionId, string? AppId, string? Filter, DateTimeOffset? AsOf, DateTimeOffset? KnownAt, bool? Superseded, bool? Expired, bool? Pending,
    int? Limit, string? Cursor)
{
    internal MemoryScope Subject => new() { UserId = UserId, AgentId = AgentId, SessionId = SessionId, AppId = AppId };

    /// <exception cref="ServiceDefaults.Problems.ProblemException">400.</exception>
    internal MemoryListing ToListing(MemoryCaller caller)
    {
        if (Limit is < 1 or > 200)
            throw AddRequestRules.Invalid("limit", "limit is 1 to 200.");
        var filter = FilterExpression.AllOf(caller.Condition(), SubjectFilter.Of(Subject));
        return new MemoryListing
        {
            Filter = FilterExpression.AllOf(filter, ParseFilter()),
            AsOf = AsOf,
            KnownAt = KnownAt,
            Superseded = Superseded == true,
            Expired = Expired == true,
            Pending = Pending == true,
            Before = Cursor is null ? null : SequenceCursor.Decode(Cursor) ?? throw AddRequestRules.Invalid("cursor", "The cursor is not one of ours."),
            Limit = Limit ?? 50,
        };
    }

    private FilterExpression? ParseFilter()
    {
        if (Filter is null)
            return null;
        try
        {
            return MemoryFilters.Parse(JsonElement.Parse(Filter));
        }
        catch (JsonException)
        {
            throw AddRequestRules.Invalid("filter", "filter is a JSON object.");
        }
    }
}

/// <summary>A sequence number as an opaque text; it says where a page ended, and nothing that its reader may not know.</summary>
internal static class SequenceCursor
{
    internal static string Encode(long sequence) => Base64Url.EncodeToString(Encoding.ASCII.GetBytes(sequence.ToString(CultureInfo.InvariantCulture)));

    internal static long? Decode(string cursor)
    {
        if (cursor.Length > 40 || !Base64Url.IsValid(cursor))
            return null;
        var text = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(cursor));
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence) ? sequence : null;
    }
}
