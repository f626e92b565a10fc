using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A PDF's text by pages, through poppler's <c>pdftotext</c> in a limited process; its output is plain text and parsed here.</summary>
internal static class PdfReader
{
    private const char PageBreak = '\f';
    private static readonly string? PdfToText = LimitedProcess.Find("pdftotext");
    private static readonly string? PdfInfo = LimitedProcess.Find("pdfinfo");
    private static readonly Dictionary<string, string> NoEnvironment = new(StringComparer.Ordinal) { ["LANG"] = "C.UTF-8" };

    /// <exception cref="ExtractionFailedException">Encrypted, without text, damaged, or over a limit.</exception>
    public static async IAsyncEnumerable<TextWindow> ReadAsync(string file, DocumentOptions options, [EnumeratorCancellation] CancellationToken ct)
    {
        if (PdfToText is null)
            throw new ExtractionFailedException("PDF files can not be read on this server: pdftotext (poppler-utils) is not installed.");
        var limits = new ProcessLimits(options.ExtractionCpuSeconds, options.ExtractionMemoryMiB, options.ExtractionTimeout);
        var info = await InfoAsync(file, limits, ct);
        await using var process = LimitedProcess.Start(PdfToText, ["-enc", "UTF-8", "-eol", "unix", file, "-"], NoEnvironment, limits, ct);
        using var text = new StreamReader(process.Output, new UTF8Encoding(false));
        var pages = new PageWindows(info.Pages, options.MaxTextCharacters);
        var buffer = new char[64 * 1024];
        while (await text.ReadAsync(buffer, ct) is > 0 and var count)
        {
            pages.Append(buffer.AsSpan(0, count));
            if (pages.TryTake() is { } window)
                yield return window;
        }

        var (exit, errors) = await process.EndAsync(ct);
        if (exit != 0 || process.IsOutOfTime)
            throw new ExtractionFailedException(Reason(process.IsOutOfTime, exit, errors));
        var last = pages.Finish();
        if (pages.IsEmpty)
            throw new ExtractionFailedException("It contains no text; it may be scanned. Recognise its text first (OCR).");
        yield return last with { Info = info with { Pages = pages.Pages } };
    }

    private static string Reason(bool isOutOfTime, int exit, string errors)
    {
        if (isOutOfTime || exit >= 128)
            return ParserProcess.Reason(isOutOfTime, exit, errors);
        return errors.Contains("password", StringComparison.OrdinalIgnoreCase) || errors.Contains("ncrypt", StringComparison.Ordinal)
            ? "It is encrypted. Save it without a password and upload it again."
            : "It is damaged: it can not be read as a PDF.";
    }

    /// <summary>Title, author and page count; what pdfinfo can't say is left out, since pdftotext is the one that decides.</summary>
    private static async Task<DocumentInfo> InfoAsync(string file, ProcessLimits limits, CancellationToken ct)
    {
        if (PdfInfo is null)
            return new DocumentInfo();
        await using var process = LimitedProcess.Start(PdfInfo, ["-enc", "UTF-8", "-isodates", file], NoEnvironment, limits, ct);
        using var reader = new StreamReader(process.Output, new UTF8Encoding(false));
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        var characters = 0;

        // Title:           On the Electrodynamics of Moving Bodies
        while (await reader.ReadLineAsync(ct) is { } line && (characters += line.Length) < 64 * 1024)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var value = colon < 0 ? string.Empty : line[(colon + 1)..].Trim();
            if (value.Length is > 0 and <= 500)
                found.TryAdd(line[..colon], value.Replace("\0", string.Empty, StringComparison.Ordinal));
        }

        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (from, to) in ((string, string)[])[("Author", "author"), ("Subject", "subject"), ("Keywords", "keywords"), ("CreationDate", "created")])
        {
            if (found.TryGetValue(from, out var value))
                metadata[to] = value;
        }

        int? pages = int.TryParse(found.GetValueOrDefault("Pages"), NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : null;
        return new DocumentInfo(found.GetValueOrDefault("Title"), pages, metadata);
    }

    /// <summary>Collects whole pages into windows; a page's blocks carry its number.</summary>
    private sealed class PageWindows(int? expectedPages, int maxCharacters)
    {
        private readonly StringBuilder page = new();
        private readonly StringBuilder window = new();
        private readonly List<TextBlock> blocks = [];
        private long total;

        public int Pages { get; private set; }

        public bool IsEmpty { get; private set; } = true;

        public void Append(ReadOnlySpan<char> characters)
        {
            while (characters.IndexOf(PageBreak) is >= 0 and var end)
            {
                page.Append(characters[..end]);
                EndPage();
                characters = characters[(end + 1)..];
            }

            page.Append(characters);
            if (total + page.Length > maxCharacters)
                throw new ExtractionFailedException($"It is too large: its text has more than {maxCharacters:N0} characters.");
        }

        public TextWindow? TryTake() => window.Length >= TextWindows.Target ? Take() : null;

        public TextWindow Finish()
        {
            if (page.Length > 0)
                EndPage();
            return Take();
        }

        private void EndPage()
        {
            Pages++;
            var text = page.ToString().Replace("\0", string.Empty, StringComparison.Ordinal).Trim('\n');
            page.Clear();
            if (string.IsNullOrWhiteSpace(text))
                return;
            if (window.Length > 0 || total > 0)
                window.Append("\n\n");
            var start = window.Length;
            blocks.AddRange(StructureReader.Read(text, TextFormat.Plain)
                .Select(block => block with { Start = block.Start + start, End = block.End + start, Page = Pages }));
            window.Append(text);
            total += text.Length + 2;
            IsEmpty = false;
        }

        private TextWindow Take()
        {
            var taken = new TextWindow(window.ToString(), TextFormat.Plain, [.. blocks], expectedPages is > 0 ? Math.Min(1, (double)Pages / expectedPages.Value) : 0.5);
            window.Clear();
            blocks.Clear();
            return taken;
        }
    }
}
