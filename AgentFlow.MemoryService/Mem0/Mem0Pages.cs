using System.Text.Json.Nodes;
using AgentFlow.MemoryService.Memories;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>
/// The hosted API's pages: <c>{"count": 3, "next": "http://.../?page=2&amp;page_size=2&amp;cursor=...", "previous": null, "results": [...]}</c>. Who counts
/// pages sees what the page holds at that moment; who follows <c>next</c> meets everything that was there throughout exactly once.
/// </summary>
internal static class Mem0Pages
{
    private const string CursorName = "cursor";

    /// <param name="cursor">Where this page ended; null when nothing follows.</param>
    internal static JsonObject Envelope(HttpContext context, JsonArray results, long count, int page, int size, string? cursor)
    {
        var address = $"{context.Request.Scheme}://{context.Request.Host}{context.Request.Path}";
        return new JsonObject
        {
            ["count"] = count,
            ["next"] = cursor is null ? null : $"{address}?page={page + 1}&page_size={size}&{CursorName}={cursor}",
            ["previous"] = page > 1 ? $"{address}?page={page - 1}&page_size={size}" : null,
            ["results"] = results,
        };
    }

    internal static string? Cursor(HttpContext context) => context.Request.Query.TryGetValue(CursorName, out var given) && given is [{ Length: > 0 } cursor] ? cursor : null;

    /// <exception cref="ServiceDefaults.Problems.ProblemException">400: none of ours.</exception>
    internal static long? Sequence(string? cursor) => cursor is null ? null : SequenceCursor.Decode(cursor) ?? throw Mem0Edge.Invalid("cursor is not one of ours");
}
