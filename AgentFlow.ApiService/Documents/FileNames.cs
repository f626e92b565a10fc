using System.Globalization;
using System.Text;

namespace AgentFlow.ApiService.Documents;

/// <summary>Names of uploaded files are shown and downloaded as, never used as paths.</summary>
internal static class FileNames
{
    /// <summary>As most file systems have it.</summary>
    public const int MaxLength = 255;

    private static readonly string[] DeviceNames =
        ["con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9"];

    /// <summary>
    /// The last segment of what the client sent, without control characters, direction overrides and characters that file systems refuse;
    /// cut to <see cref="MaxLength"/> with its extension kept. <c>..\..\evil&#8238;txt.exe</c> becomes <c>eviltxt.exe</c>.
    /// </summary>
    public static string Clean(string? sent)
    {
        var name = (sent ?? string.Empty).Split('/', '\\')[^1];
        var cleaned = new StringBuilder(name.Length);
        foreach (var rune in name.EnumerateRunes())
        {
            var category = Rune.GetUnicodeCategory(rune);
            if (category is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
                or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate or UnicodeCategory.OtherNotAssigned || rune == Rune.ReplacementChar)
                continue;
            if (rune.Value is '"' or '<' or '>' or '|' or ':' or '*' or '?')
                cleaned.Append('_');
            else
                cleaned.Append(rune.ToString());
        }

        var result = cleaned.ToString().Trim().TrimStart('.').TrimEnd('.', ' ');
        if (result.Length == 0)
            return "document";
        var stem = result.Split('.')[0];
        if (DeviceNames.Contains(stem.ToLowerInvariant(), StringComparer.Ordinal))
            result = "_" + result;
        return result.Length <= MaxLength ? result : Shorten(result);
    }

    private static string Shorten(string name)
    {
        var extension = Path.GetExtension(name);
        if (extension.Length is 0 or > 16)
            extension = string.Empty;
        var keep = MaxLength - extension.Length;
        if (char.IsHighSurrogate(name[keep - 1]))
            keep--;
        return name[..keep] + extension;
    }
}
