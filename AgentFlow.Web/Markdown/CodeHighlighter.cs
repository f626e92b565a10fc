using System.Collections.Frozen;

namespace AgentFlow.Web.Markdown;

/// <summary>
/// Colours strings, comments, numbers and keywords of the usual languages by their shared lexical habits; no grammar, so it never fails, only
/// colours less. Pure; linear in the text; above <see cref="MaxLength"/> characters everything stays plain.
/// </summary>
internal static class CodeHighlighter
{
    public const int MaxLength = 20_000;

    private const string Common =
        "abstract and as async await bool boolean break case catch char class const continue def default del delete do double elif else enum except "
        + "export extends false final finally float fn for foreach from func function get global go goto if impl implements import in init int interface "
        + "internal is lambda let long match mod module mut namespace new nil None not null object of or out override package pass private protected "
        + "public raise readonly record ref required return sealed self set short static str string struct super switch this throw True False true try "
        + "type typeof undefined use using val var virtual void volatile when where while with yield echo fi then done esac local export";

    private const string Sql =
        "select from where insert into values update set delete create table index view alter drop join left right inner outer full on group by order "
        + "having limit offset union all distinct as and or not null is in exists between like case when then else end begin commit rollback with "
        + "returning primary key references foreign default check unique constraint text integer bigint boolean uuid timestamptz jsonb grant to";

    private static readonly FrozenSet<string> Keywords = Common.Split(' ').ToFrozenSet(StringComparer.Ordinal);
    private static readonly FrozenSet<string> SqlKeywords = Sql.Split(' ').ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    private static readonly FrozenSet<string> Plain = new[] { "", "text", "txt", "plain", "markdown", "md", "log", "diff", "csv" }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    private static readonly FrozenSet<string> HashComments =
        new[] { "python", "py", "bash", "sh", "shell", "yaml", "yml", "toml", "ruby", "rb", "dockerfile", "ini", "powershell", "ps1", "r", "perl", "makefile" }
            .ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>The text in order, in parts with the style class of each; null for plain.</summary>
    public static IEnumerable<(string Text, string? Kind)> Split(string text, string? language)
    {
        if (language is null || text.Length > MaxLength || Plain.Contains(language))
        {
            yield return (text, null);
            yield break;
        }

        var isSql = language.Contains("sql", StringComparison.OrdinalIgnoreCase);
        var keywords = isSql ? SqlKeywords : Keywords;
        var plainFrom = 0;
        for (var at = 0; at < text.Length;)
        {
            var (length, kind) = Token(text, at, language, isSql, keywords);
            if (kind is not null)
            {
                if (at > plainFrom)
                    yield return (text[plainFrom..at], null);
                yield return (text.Substring(at, length), kind);
                plainFrom = at + length;
            }

            at += length;
        }

        if (plainFrom < text.Length)
            yield return (text[plainFrom..], null);
    }

    private static (int Length, string? Kind) Token(string text, int at, string language, bool isSql, FrozenSet<string> keywords)
    {
        var rest = text.AsSpan(at);
        if (IsLineComment(rest, language, isSql))
            return (LineEnd(rest), "tok-comment");
        if (rest.StartsWith("/*"))
            return (Through(rest, "*/"), "tok-comment");
        if (rest.StartsWith("<!--"))
            return (Through(rest, "-->"), "tok-comment");
        if (rest[0] is '"' or '\'' or '`')
            return (StringEnd(rest), "tok-string");
        if (char.IsAsciiDigit(rest[0]))
            return (Run(rest, static character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_'), "tok-number");
        if (char.IsLetter(rest[0]) || rest[0] is '_')
        {
            var length = Run(rest, static character => char.IsLetterOrDigit(character) || character is '_');
            return (length, keywords.Contains(rest[..length].ToString()) ? "tok-keyword" : null);
        }

        return (1, null);
    }

    private static bool IsLineComment(ReadOnlySpan<char> rest, string language, bool isSql) =>
        isSql ? rest.StartsWith("--") : HashComments.Contains(language) ? rest[0] == '#' : rest.StartsWith("//");

    private static int LineEnd(ReadOnlySpan<char> rest) => rest.IndexOf('\n') is var end and >= 0 ? end : rest.Length;

    private static int Through(ReadOnlySpan<char> rest, string end) => rest[2..].IndexOf(end) is var at and >= 0 ? at + 2 + end.Length : rest.Length;

    private static int StringEnd(ReadOnlySpan<char> rest)
    {
        for (var i = 1; i < rest.Length; i++)
        {
            if (rest[i] == '\\')
                i++;
            else if (rest[i] == rest[0])
                return i + 1;
            else if (rest[i] == '\n' && rest[0] != '`')
                return i;
        }

        return rest.Length;
    }

    private static int Run(ReadOnlySpan<char> rest, Func<char, bool> belongs)
    {
        var length = 1;
        while (length < rest.Length && belongs(rest[length]))
            length++;
        return length;
    }
}
