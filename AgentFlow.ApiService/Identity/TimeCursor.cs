using System.Buffers.Text;
using System.Globalization;
using System.Text;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// The cursor of a list that is ordered by time, then id, newest first: <c>base64url("ticks.uuid")</c> of the last item. It opens nothing:
/// whatever it says, a list shows only what its owner has.
/// </summary>
internal static class TimeCursor
{
    public static Page<T> Page<T>(List<T> oneMore, int limit, Func<T, (DateTimeOffset At, Guid Id)> place)
    {
        if (oneMore.Count <= limit)
        {
            return new Page<T>(oneMore);
        }

        oneMore.RemoveRange(limit, oneMore.Count - limit);
        var (at, id) = place(oneMore[^1]);
        return new Page<T>(oneMore, Base64Url.EncodeToString(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{at.UtcTicks}.{id:N}"))));
    }

    public static bool TryParse(string cursor, out (DateTimeOffset At, Guid Id)? place)
    {
        place = null;
        var bytes = new byte[64];
        if (cursor.Length > 80 || Base64Url.DecodeFromChars(cursor, bytes, out _, out var length) is not System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        var parts = Encoding.ASCII.GetString(bytes, 0, length).Split('.');
        if (parts.Length != 2 || !long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks) || ticks > DateTimeOffset.MaxValue.UtcTicks
            || !Guid.TryParseExact(parts[1], "N", out var id))
        {
            return false;
        }

        place = (new DateTimeOffset(ticks, TimeSpan.Zero), id);
        return true;
    }
}
