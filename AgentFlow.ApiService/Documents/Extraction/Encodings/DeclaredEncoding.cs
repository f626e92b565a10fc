using System.Text;
using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>What the beginning of a text says of its own encoding.</summary>
internal static partial class DeclaredEncoding
{
    /// <summary>Browsers look at 1,024 bytes; headers of catalogues of translations are longer.</summary>
    public const int LookedAt = 2_048;

    private const RegexOptions Form = RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture;

    /// <summary>
    /// <c>&lt;meta charset="windows-1251"&gt;</c>, <c>&lt;?xml version="1.0" encoding="Shift_JIS"?&gt;</c>, <c>@charset "gb2312";</c>,
    /// <c># -*- coding: koi8-r -*-</c> in the first two lines, <c>Content-Type: text/plain; charset=EUC-KR</c>.
    /// </summary>
    /// <returns>A code page, or null.</returns>
    public static int? Find(ReadOnlySpan<byte> head)
    {
        var text = Encoding.Latin1.GetString(head[..Math.Min(head.Length, LookedAt)]);
        foreach (var form in (Regex[])[Xml(), Meta(), Css(), Coding(), Header()])
        {
            if (form.Match(text) is { Success: true } found && TextEncodings.CodePageOf(found.Groups["name"].Value) is { } page)
                return page;
        }

        return null;
    }

    [GeneratedRegex("""\A\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["'](?<name>[a-z][a-z0-9._:-]{1,39})["']""", Form, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Xml();

    [GeneratedRegex("""<meta\s[^>]{0,300}?charset\s*=\s*["']?\s*(?<name>[a-z][a-z0-9._:-]{1,39})""", Form, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Meta();

    [GeneratedRegex("""\A@charset\s+"(?<name>[a-z][a-z0-9._:-]{1,39})["]""", Form, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Css();

    [GeneratedRegex("""\A(?:[^\n]*\n)?[^\n]*?(?:^|[#*/;%"\s])(?:file)?(?:en)?coding\s*[:=]\s*(?<name>[a-z][a-z0-9._-]{1,39})""", Form, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Coding();

    [GeneratedRegex("""content-type:\s*text/[a-z0-9.+-]{1,40}\s*;\s*charset\s*=\s*"?(?<name>[a-z][a-z0-9._:-]{1,39})""", Form, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Header();
}
