using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>An encoding that a text may be in without saying so, and the languages that are written in it.</summary>
/// <param name="CodePage">As Windows numbers them.</param>
/// <param name="Languages">One of them must fit.</param>
/// <param name="Handicap">How much more likely than by its looks another must be; the common one of two that look alike has less.</param>
internal sealed record TextEncoding(int CodePage, Language[] Languages, double Handicap = 0)
{
    private readonly Lazy<Encoding> strict = new(() => TextEncodings.Strict(CodePage));

    /// <summary>Throws on bytes that it does not know.</summary>
    public Encoding Encoding => strict.Value;

    public bool IsMultiByte => Languages[0].Script == Script.Ideographs || CodePage is TextEncodings.Utf16 or TextEncodings.Utf16BigEndian;
}

internal static class TextEncodings
{
    public const int Utf16 = 1200;
    public const int Utf16BigEndian = 1201;
    public const int Western = 1252;
    public const int Iso2022Jp = 50220;
    private const int Utf8 = 65001;

    /// <summary>Every language whose letters are all outside ASCII: UTF-16 without a mark has hardly any zero bytes then.</summary>
    private static readonly Language[] OutsideAscii =
    [
        .. LanguageTables.Cyrillic, .. LanguageTables.Greek, .. LanguageTables.Hebrew, .. LanguageTables.Arabic, .. LanguageTables.Thai,
        .. LanguageTables.Japanese, .. LanguageTables.Simplified, .. LanguageTables.Traditional, .. LanguageTables.Korean,
    ];

    public static readonly IReadOnlyList<TextEncoding> All =
    [
        new(Western, LanguageTables.Western), new(1250, LanguageTables.Central, 1), new(28592, LanguageTables.Central, 2),
        new(1254, LanguageTables.Turkish, 1), new(1257, LanguageTables.Baltic, 1),
        new(1251, LanguageTables.Cyrillic, 4), new(20866, LanguageTables.Cyrillic, 4), new(21866, LanguageTables.Cyrillic, 5), new(866, LanguageTables.Cyrillic, 6), new(28595, LanguageTables.Cyrillic, 6),
        new(1253, LanguageTables.Greek, 4), new(28597, LanguageTables.Greek, 6), new(1255, LanguageTables.Hebrew, 4), new(1256, LanguageTables.Arabic, 4), new(28596, LanguageTables.Arabic, 6),
        new(874, LanguageTables.Thai, 4),
        new(932, LanguageTables.Japanese, 4), new(51932, LanguageTables.Japanese, 4), new(54936, LanguageTables.Simplified, 4), new(950, LanguageTables.Traditional, 4), new(949, LanguageTables.Korean, 4),
    ];

    public static readonly IReadOnlyList<TextEncoding> Utf16Forms = [new(Utf16, OutsideAscii), new(Utf16BigEndian, OutsideAscii)];

    /// <summary>Names that documents give an encoding which contains the one that they name, as browsers read them.</summary>
    private static readonly Dictionary<string, int> Wider = new(StringComparer.OrdinalIgnoreCase)
    {
        ["iso-8859-1"] = Western, ["latin1"] = Western, ["latin-1"] = Western, ["us-ascii"] = Western, ["ascii"] = Western, ["cp1252"] = Western,
        ["iso-8859-9"] = 1254, ["latin5"] = 1254, ["iso-8859-11"] = 874, ["tis-620"] = 874,
        ["gb2312"] = 54936, ["gbk"] = 54936, ["gb18030"] = 54936, ["cp936"] = 54936, ["x-gbk"] = 54936, ["big5-hkscs"] = 950,
        ["euc-kr"] = 949, ["ks_c_5601-1987"] = 949, ["uhc"] = 949, ["cp949"] = 949,
        ["shift_jis"] = 932, ["shift-jis"] = 932, ["sjis"] = 932, ["x-sjis"] = 932, ["cp932"] = 932, ["windows-31j"] = 932, ["ms932"] = 932,
        ["euc-jp"] = 51932, ["eucjp"] = 51932, ["x-euc-jp"] = 51932, ["iso-2022-jp"] = Iso2022Jp,
        ["cp1250"] = 1250, ["cp1251"] = 1251, ["cp1253"] = 1253, ["cp1254"] = 1254, ["cp1255"] = 1255, ["cp1256"] = 1256, ["cp1257"] = 1257, ["cp866"] = 866,
    };

    /// <returns>The code page of a name as documents give it, or null for names that are not known, and for those of Unicode, which shows itself.</returns>
    public static int? CodePageOf(string name)
    {
        if (Wider.TryGetValue(name, out var wider))
            return wider;
        try
        {
            var page = (CodePagesEncodingProvider.Instance.GetEncoding(name) ?? Encoding.GetEncoding(name)).CodePage;
            return page is Utf8 or Utf16 or Utf16BigEndian or 12000 or 12001 or 65000 ? null : page;
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <returns>The encoding of a name as servers give it, throwing on what it can't decode; null for names that are not known.</returns>
    public static Encoding? OfLabel(string name) => name.ToUpperInvariant() switch
    {
        "UTF-8" or "UTF8" or "UNICODE-1-1-UTF-8" => new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true),
        "UTF-16" or "UTF-16LE" or "UNICODE" or "UCS-2" => Strict(Utf16),
        "UTF-16BE" => Strict(Utf16BigEndian),
        _ => CodePageOf(name) is { } page ? Strict(page) : null,
    };

    public static Encoding Strict(int codePage) => codePage switch
    {
        Utf16 => new UnicodeEncoding(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true),
        Utf16BigEndian => new UnicodeEncoding(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true),
        _ => CodePagesEncodingProvider.Instance.GetEncoding(codePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)
            ?? Encoding.GetEncoding(codePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback),
    };
}
