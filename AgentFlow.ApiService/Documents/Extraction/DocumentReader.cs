using System.Runtime.CompilerServices;
using AgentFlow.Retrieval.Chunking;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Turns an original into windows of text. Plain text is decoded here; whatever has a structure that somebody else made is parsed in a
/// process of its own with limits, so that a bomb or a parser's crash is a failed document and nothing more.
/// </summary>
internal sealed class DocumentReader(OriginalStore originals, IOptions<DocumentOptions> options) : IDisposable
{
    private readonly SemaphoreSlim parsers = new(options.Value.MaxExtractions);

    /// <exception cref="ExtractionFailedException">The document can not be read; the reason is for its owner.</exception>
    public IAsyncEnumerable<TextWindow> ReadAsync(IngestJob job, CancellationToken ct) => job.Format switch
    {
        DocumentFormat.Text => ReadTextAsync(job, TextFormat.Plain, ct),
        DocumentFormat.Markdown => ReadTextAsync(job, TextFormat.Markdown, ct),
        DocumentFormat.Code => ReadTextAsync(job, TextFormat.Code, ct),
        _ => ParseAsync(job, ct),
    };

    public void Dispose() => parsers.Dispose();

    private async IAsyncEnumerable<TextWindow> ReadTextAsync(IngestJob job, TextFormat format, [EnumeratorCancellation] CancellationToken ct)
    {
        long characters = 0;
        await foreach (var window in TextWindows.ReadAsync(() => originals.ReadAsync(job.OwnerId, job.OriginalId, 0, job.Size, ct), job.Size, format, job.FetchedAs, ct))
        {
            characters += window.Text.Length;
            if (characters > options.Value.MaxTextCharacters)
                throw new ExtractionFailedException($"It is too large: its text has more than {options.Value.MaxTextCharacters:N0} characters.");
            yield return window;
        }
    }

    private async IAsyncEnumerable<TextWindow> ParseAsync(IngestJob job, [EnumeratorCancellation] CancellationToken ct)
    {
        await parsers.WaitAsync(ct);
        var folder = Directory.CreateTempSubdirectory("agentflow-");
        try
        {
            var file = Path.Combine(folder.FullName, "original");
            await using (var copy = new FileStream(file, FileMode.CreateNew, FileAccess.Write))
            {
                await foreach (var bytes in originals.ReadAsync(job.OwnerId, job.OriginalId, 0, job.Size, ct))
                    await copy.WriteAsync(bytes, ct);
            }

            var windows = job.Format == DocumentFormat.Pdf
                ? PdfReader.ReadAsync(file, options.Value, ct)
                : ParserProcess.ReadAsync(job.Format, file, job.FetchedAs, options.Value, ct);
            long characters = 0;
            await foreach (var window in windows.WithCancellation(ct))
            {
                characters += window.Text.Length;
                if (characters > options.Value.MaxTextCharacters)
                    throw new ExtractionFailedException($"It is too large: its text has more than {options.Value.MaxTextCharacters:N0} characters.");
                yield return window;
            }
        }
        finally
        {
            folder.Delete(recursive: true);
            parsers.Release();
        }
    }
}
