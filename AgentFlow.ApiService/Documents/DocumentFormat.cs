using System.Collections.Frozen;
using System.Globalization;

namespace AgentFlow.ApiService.Documents;

/// <summary>How a document is read. Its name is kept in the database.</summary>
internal enum DocumentFormat
{
    Text,
    Markdown,
    Code,
    Html,
    Csv,
    Json,
    Notebook,
    Docx,
    Xlsx,
    Pptx,
    Pdf,
}

/// <param name="Format">How it is read.</param>
/// <param name="MediaType">What it is downloaded as.</param>
internal sealed record DocumentKind(DocumentFormat Format, string MediaType);

/// <summary>Decides by name and leading bytes what a file is; both must agree.</summary>
internal static class DocumentKinds
{
    /// <summary>Leading bytes that <see cref="Decide"/> wants to see, fewer only when the file is shorter.</summary>
    public const int LeadingBytes = 1_024;

    private static readonly FrozenDictionary<string, DocumentKind> ByExtension = new Dictionary<string, DocumentKind>(StringComparer.OrdinalIgnoreCase)
    {
        ["txt"] = new(DocumentFormat.Text, "text/plain"),
        ["text"] = new(DocumentFormat.Text, "text/plain"),
        ["log"] = new(DocumentFormat.Text, "text/plain"),
        ["rst"] = new(DocumentFormat.Text, "text/plain"),
        ["adoc"] = new(DocumentFormat.Text, "text/plain"),
        ["md"] = new(DocumentFormat.Markdown, "text/markdown"),
        ["markdown"] = new(DocumentFormat.Markdown, "text/markdown"),
        ["mdx"] = new(DocumentFormat.Markdown, "text/markdown"),
        ["html"] = new(DocumentFormat.Html, "text/html"),
        ["htm"] = new(DocumentFormat.Html, "text/html"),
        ["xhtml"] = new(DocumentFormat.Html, "application/xhtml+xml"),
        ["csv"] = new(DocumentFormat.Csv, "text/csv"),
        ["tsv"] = new(DocumentFormat.Csv, "text/tab-separated-values"),
        ["json"] = new(DocumentFormat.Json, "application/json"),
        ["jsonl"] = new(DocumentFormat.Json, "application/x-ndjson"),
        ["ndjson"] = new(DocumentFormat.Json, "application/x-ndjson"),
        ["ipynb"] = new(DocumentFormat.Notebook, "application/x-ipynb+json"),
        ["docx"] = new(DocumentFormat.Docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ["xlsx"] = new(DocumentFormat.Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ["pptx"] = new(DocumentFormat.Pptx, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ["pdf"] = new(DocumentFormat.Pdf, "application/pdf"),
    }.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> CodeExtensions = FrozenSet.ToFrozenSet(
    [
        "bash", "bat", "c", "cc", "cfg", "cmake", "conf", "cpp", "cs", "csproj", "css", "cxx", "dart", "diff", "env", "erl", "ex", "exs", "fs", "fsx",
        "go", "gradle", "graphql", "groovy", "h", "hpp", "hs", "ini", "java", "jl", "js", "jsx", "kt", "kts", "less", "lua", "m", "ml", "mjs", "patch",
        "php", "pl", "properties", "props", "proto", "ps1", "py", "r", "rb", "rs", "sass", "scala", "scss", "sh", "sln", "sql", "svelte", "swift",
        "targets", "tex", "tf", "toml", "ts", "tsx", "vb", "vue", "xml", "yaml", "yml", "zig", "zsh",
    ], StringComparer.OrdinalIgnoreCase);

    /// <summary>White space, and the bytes of a UTF-8 mark.</summary>
    private static ReadOnlySpan<byte> Blank => [(byte)' ', (byte)'\t', (byte)'\r', (byte)'\n', 0xEF, 0xBB, 0xBF];

    private static readonly DocumentKind PlainText = new(DocumentFormat.Text, "text/plain");
    private static readonly DocumentKind SourceCode = new(DocumentFormat.Code, "text/plain");

    /// <summary>For those whose file is refused.</summary>
    public const string Accepted =
        "Accepted are plain text (txt, md, rst, log and names without an ending), HTML, CSV, JSON, notebooks (ipynb), Office files (docx, xlsx, pptx), PDF and source code.";

    /// <returns>The kind, or null when nothing here reads such a file or its bytes are not what its name says.</returns>
    public static DocumentKind? Decide(string name, ReadOnlySpan<byte> leading)
    {
        var kind = ByName(name);
        if (kind is null)
            return null;
        var agrees = kind.Format switch
        {
            DocumentFormat.Pdf => leading.TrimStart(Blank).StartsWith("%PDF-"u8),
            DocumentFormat.Docx or DocumentFormat.Xlsx or DocumentFormat.Pptx =>
                (leading.StartsWith("PK\u0003\u0004"u8) && leading.IndexOf("%PDF-"u8) < 0) || IsCompoundFile(leading),
            DocumentFormat.Html => !IsBinary(leading),
            _ => !IsBinary(leading) && !LooksLikeHtmlPage(leading, kind),
        };
        return agrees ? kind : null;
    }

    /// <summary>A name without an extension (README, GPL-3, Apache-2.0) is text when its bytes are.</summary>
    private static DocumentKind? ByName(string name)
    {
        var dot = name.LastIndexOf('.');
        var extension = dot < 0 ? string.Empty : name[(dot + 1)..];
        if (extension.Length == 0 || extension.All(char.IsAsciiDigit))
            return PlainText;
        if (ByExtension.TryGetValue(extension, out var known))
            return known;
        return CodeExtensions.Contains(extension) ? SourceCode : null;
    }

    /// <summary>Office files with a password are OLE compound files: accepted, so that the failure can say "is encrypted".</summary>
    private static bool IsCompoundFile(ReadOnlySpan<byte> leading) => leading.StartsWith((ReadOnlySpan<byte>)[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]);

    private static bool IsBinary(ReadOnlySpan<byte> leading) =>
        leading.StartsWith("PK\u0003\u0004"u8) || leading.StartsWith("%PDF-"u8) || leading.StartsWith("\u007fELF"u8) || leading.StartsWith("GIF8"u8)
        || leading.StartsWith((ReadOnlySpan<byte>)[0x89, 0x50, 0x4E, 0x47]) || leading.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF])
        || leading.StartsWith((ReadOnlySpan<byte>)[0x1F, 0x8B]) || leading.StartsWith("7z\u00bc\u00af"u8) || leading.StartsWith("Rar!"u8)
        || leading.StartsWith("OggS"u8) || leading.StartsWith("RIFF"u8) || leading.StartsWith("SQLite format 3\0"u8)
        || leading.StartsWith((ReadOnlySpan<byte>)[0xCA, 0xFE, 0xBA, 0xBE]) || IsWindowsProgram(leading) || IsCompoundFile(leading);

    /// <summary>"MZ" alone could begin a word; with bytes that no text has, it is a program.</summary>
    private static bool IsWindowsProgram(ReadOnlySpan<byte> leading) => leading.StartsWith("MZ"u8) && leading.IndexOfAnyInRange((byte)0, (byte)8) >= 0;

    /// <summary>A web page that calls itself data or a picture: refused. In text, Markdown and code a page's source is ordinary.</summary>
    private static bool LooksLikeHtmlPage(ReadOnlySpan<byte> leading, DocumentKind kind)
    {
        if (kind.Format is not (DocumentFormat.Csv or DocumentFormat.Json or DocumentFormat.Notebook))
            return false;
        var start = leading.TrimStart(Blank);
        return start.StartsWith("<"u8);
    }

    public static string NameOf(DocumentFormat format) => format.ToString().ToLower(CultureInfo.InvariantCulture);

    public static DocumentFormat FormatOf(string name) => Enum.Parse<DocumentFormat>(name, ignoreCase: true);
}
