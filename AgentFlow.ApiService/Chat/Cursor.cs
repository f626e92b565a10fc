using System.Buffers.Text;
using System.Globalization;
using System.Text;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Chat;

/// <summary>Where a listing goes on: opaque to clients, checked when it comes back. Holds no secret: the owner is checked by the query.</summary>
internal static class Cursor
{
    public const int MaxLimit = 500;

    public static string Of(params ReadOnlySpan<string> parts) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Join('|', parts!)));

    public static int Limit(int? limit, int otherwise) => limit switch
    {
        null => otherwise,
        >= 1 and <= MaxLimit => limit.Value,
        _ => throw ChatValidation.Invalid("limit", $"limit is {limit}; send 1 to {MaxLimit}."),
    };

    public static long Position(string? cursor) => cursor is null ? 0 : long.TryParse(Decode(cursor), NumberStyles.None, CultureInfo.InvariantCulture, out var position) ? position : throw Bad();

    public static (DateTimeOffset Time, Guid Id)? TimeAndId(string? cursor)
    {
        if (cursor is null)
            return null;
        var parts = Decode(cursor).Split('|');
        return parts.Length == 2 && DateTimeOffset.TryParseExact(parts[0], "O", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            && Guid.TryParseExact(parts[1], "D", out var id)
            ? (time.ToUniversalTime(), id)
            : throw Bad();
    }

    private static string Decode(string cursor)
    {
        try
        {
            return cursor.Length > 200 ? throw Bad() : Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor));
        }
        catch (FormatException)
        {
            throw Bad();
        }
    }

    private static ProblemException Bad() => ChatValidation.Invalid("cursor", "This is no cursor of this listing.");
}
