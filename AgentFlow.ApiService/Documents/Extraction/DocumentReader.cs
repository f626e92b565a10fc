using System.Runtime.CompilerServices;
using AgentFlow.Retrieval.Chunking;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Turns an original into windows of text. Plain text is decoded here; whatever has a structure that somebody else made is parsed in a
/// process of its own.
/// </summary>
internal sealed class DocumentReader(OriginalStore originals, IOptions<DocumentOptions> options)
{
    /// <exception cref="ExtractionFailedException">The document can not be read; the reason is for its owner.</exception>
    public IAsyncEnumerable<TextWindow> ReadAsync(IngestJob job, CancellationToken ct) => job.Format switch
    {
        DocumentFormat.Text => ReadTextAsync(job, TextFormat.Plain, ct),
        DocumentFormat.Markdown => ReadTextAsync(job, TextFormat.Markdown, ct),
        DocumentFormat.Code => ReadTextAsync(job, TextFormat.Code, ct),
        _ => ReadStructuredAsync(job, ct),
    };

    private async IAsyncEnumerable<TextWindow> ReadTextAsync(IngestJob job, TextFormat format, [EnumeratorCancellation] CancellationToken ct)
    {
        long characters = 0;
        await foreach (var window in TextWindows.ReadAsync(() => originals.ReadAsync(job.OwnerId, job.OriginalId, 0, job.Size, ct), job.Size, format, ct))
        {
            characters += window.Text.Length;
            if (characters > options.Value.MaxTextCharacters)
                throw new ExtractionFailedException($"It is too large: its text has more than {options.Value.MaxTextCharacters:N0} characters.");
            yield return window;
        }
    }

    private async IAsyncEnumerable<TextWindow> ReadStructuredAsync(IngestJob job, [EnumeratorCancellation] CancellationToken ct)
    {
        using var content = new MemoryStream();
        await foreach (var bytes in originals.ReadAsync(job.OwnerId, job.OriginalId, 0, job.Size, ct))
            await content.WriteAsync(bytes, ct);
        content.Position = 0;
        var windows = new List<TextWindow>();
        HtmlReader.Read(content, new BlockWriter(windows.Add, options.Value.MaxTextCharacters));
        foreach (var window in windows)
            yield return window;
    }
}
