using System.Globalization;
using System.Text.RegularExpressions;

namespace AgentFlow.Retrieval.Ranking;

/// <summary>A time that a query names: a day, a month with or without its year, or a year.</summary>
/// <param name="Year">Null for a month of any year.</param>
/// <param name="Month">Null for a whole year.</param>
/// <param name="Day">Null for a whole month.</param>
public sealed partial record TimeMention(int? Year, int? Month, int? Day)
{
    private static readonly string[] Months =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

    /// <summary>A day is talked about on the day itself and in the week after it.</summary>
    private static readonly TimeSpan Aftermath = TimeSpan.FromDays(7);

    /// <summary>Whether something said at that time can be about the mentioned one.</summary>
    public bool Covers(DateTimeOffset at)
    {
        if (Day is null)
            return (Year is null || Year == at.Year) && (Month is null || Month == at.Month);
        foreach (var year in Year is { } known ? (int[])[known] : [at.Year, at.Year - 1])
        {
            if (Day > DateTime.DaysInMonth(year, Month!.Value))
                continue;
            var start = new DateTimeOffset(year, Month.Value, Day.Value, 0, 0, 0, at.Offset);
            if (at >= start && at < start.AddDays(1) + Aftermath)
                return true;
        }

        return false;
    }

    /// <summary>English month names, ISO dates and four-digit years; pure.</summary>
    public static IReadOnlyList<TimeMention> Find(string query)
    {
        ArgumentNullException.ThrowIfNull(query);
        var mentions = new List<TimeMention>();
        foreach (Match match in Pattern().Matches(query))
        {
            if (match.Groups["iso"].Success && DateOnly.TryParseExact(match.Value, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date))
            {
                mentions.Add(new TimeMention(date.Year, date.Month, date.Day));
                continue;
            }

            var month = match.Groups["month"];
            var day = Number(match.Groups["before"]) ?? Number(match.Groups["after"]);
            var year = Number(match.Groups["year"]) ?? Number(match.Groups["alone"]);

            // "may" is a month only when written as a name.
            if (month.Success && !(month.Length == 3 && month.Value != "May" && month.Value.Equals("may", StringComparison.OrdinalIgnoreCase)))
                mentions.Add(new TimeMention(year, 1 + System.Array.FindIndex(Months, name => name.StartsWith(month.Value.TrimEnd('.')[..3], StringComparison.OrdinalIgnoreCase)), day is > 0 and <= 31 ? day : null));
            else if (year is not null)
                mentions.Add(new TimeMention(year, null, null));
        }

        return mentions;
    }

    private static int? Number(Group group) => group.Success ? int.Parse(group.ValueSpan, CultureInfo.InvariantCulture) : null;

    // "7 May 2023", "May 7th, 2023", "in June", "2023-05-07", "2023"
    [GeneratedRegex(
        @"\b(?:(?<iso>\d{4}-\d{2}-\d{2})|(?:(?<before>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?)?(?<month>jan(?:uary|\.)?|feb(?:ruary|\.)?|mar(?:ch|\.)?|apr(?:il|\.)?|may|june?|july?|aug(?:ust|\.)?|sept?(?:ember|\.)?|oct(?:ober|\.)?|nov(?:ember|\.)?|dec(?:ember|\.)?)(?:\s+(?<after>\d{1,2})(?:st|nd|rd|th)?)?(?:,?\s+(?<year>(?:19|20)\d{2}))?|(?<alone>(?:19|20)\d{2}))(?!\w)",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Pattern();
}
