using System.Buffers.Text;
using System.Globalization;
using System.Text;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Documents;

/// <summary>Where the next page of a listing starts: after this row, newest first. The owner is never part of it.</summary>
internal sealed record DocumentCursor(DateTimeOffset CreatedAt, Guid Id)
{
    public string Encode() => Base64Url.EncodeToString(Encoding.ASCII.GetBytes(
        string.Create(CultureInfo.InvariantCulture, $"{CreatedAt.UtcTicks}.{Id:N}")));

    /// <exception cref="ProblemException">400: not a cursor of ours.</exception>
    public static DocumentCursor? Decode(string? cursor)
    {
        if (cursor is null)
            return null;
        if (cursor.Length <= 200 && Base64Url.IsValid(cursor))
        {
            var parts = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(cursor)).Split('.');
            if (parts.Length == 2 && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
                && ticks <= DateTimeOffset.MaxValue.UtcTicks && Guid.TryParseExact(parts[1], "N", out var id))
                return new DocumentCursor(new DateTimeOffset(ticks, TimeSpan.Zero), id);
        }

        throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_cursor", "The cursor is not one that this listing gave out.");
    }
}
