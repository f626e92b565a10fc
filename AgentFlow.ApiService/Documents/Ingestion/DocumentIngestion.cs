using System.Text.Json;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.Contracts;
using AgentFlow.Retrieval.Chunking;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Queue;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Makes an upload searchable: reads it window by window, chunks, embeds and stores each window in one transaction, publishes all of
/// them in another, and writes the index. What replaces another version is written to the index before, and published when all of it is there
/// (decision 0047). Every step may be repeated; an attempt goes on where the one before was cut off.
/// </summary>
internal sealed partial class DocumentIngestion(
    IngestStore store, DocumentReader reader, PassageEmbedder embedder, ChunkTruth truth, VectorIndex index, IndexFollower follower, OutboxWorker outbox, DocumentFollowUp followUp,
    IOptions<DocumentOptions> options, ILogger<DocumentIngestion> logger) : ITaskHandler
{
    private const int IndexBatch = 256;

    private const int BatchesAtOnce = 2;

    /// <summary>How long a replacement waits when the index can't be reached, before it asks again.</summary>
    private static readonly TimeSpan IndexRetry = TimeSpan.FromSeconds(5);

    /// <summary>Characters of a title.</summary>
    private const int MaxTitle = 300;

    /// <summary>Below this share of progress a report is not worth its write.</summary>
    private const double ReportStep = 0.05;

    public string Kind => IngestInput.Kind;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = context.Input.Deserialize<IngestInput>(ContractJson.Options) ?? throw new TaskFailedException("The task names no document.");
        try
        {
            var job = await store.BeginAsync(context.OwnerId, input, ct);
            if (job is not null && (job.IsPublished || job.IsStaged || await MakeAsync(job, context, ct)))
                await (job.IsReplacement ? SwapAsync(job, context, ct) : IndexAsync(job, context, ct));
            return JsonSerializer.SerializeToElement(input, ContractJson.Options);
        }
        catch (TaskPostponedException)
        {
            throw;
        }
        catch (ExtractionFailedException failure)
        {
            await store.FailAsync(context.OwnerId, input, failure.Message, ct);
            throw new TaskFailedException(failure.Message);
        }
#pragma warning disable CA1031 // The last attempt's failure must be seen on the document too; it is rethrown for the queue.
        catch (Exception error) when (context.Attempt >= context.MaxAttempts && !ct.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogGaveUp(error, input.DocumentId, context.Attempt);
            await store.FailAsync(context.OwnerId, input, $"It could not be processed in {context.Attempt} attempts, for a reason on our side. Try it again later.", CancellationToken.None);
            throw;
        }
    }

    /// <summary>Stores the text, its chunks and their embeddings, then makes them the live version, or the staged one. False: the document went away.</summary>
    private async Task<bool> MakeAsync(IngestJob job, TaskContext context, CancellationToken ct)
    {
        var storing = new WindowWriter(store, job);
        try
        {
            return await ReadAsync(job, context, storing, ct);
        }
        finally
        {
            // Its own failure has been thrown above, or another one comes before it.
            await ((Task)storing.EndAsync()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> ReadAsync(IngestJob job, TaskContext context, WindowWriter storing, CancellationToken ct)
    {
        await context.ReportAsync(0, "Reading", ct);
        var chunker = NewChunker(job);
        var info = new DocumentInfo();
        var pages = 0;
        var reported = 0d;
        await foreach (var window in reader.ReadAsync(job, ct))
        {
            info = window.Info ?? info;
            var start = chunker.Offset;
            if (start < job.CursorOffset && start + window.Text.Length > job.CursorOffset)
            {
                // The windows fall otherwise than they did in the attempt before: another release, or other settings.
                await store.ResetAsync(job, ct);
                throw new InvalidOperationException("The document is cut differently than before; the next attempt starts from its beginning.");
            }

            if (start == 0 && job.CursorOffset == 0 && !await store.SetStatusAsync(job, "chunking", 0, ct))
                return false;
            var chunks = chunker.Take(window);
            pages = Math.Max(pages, chunks.Count == 0 ? 0 : chunks[^1].Page ?? 0);
            if (chunker.Offset > job.CursorOffset && !await storing.AddAsync(await StageAsync(job, window, start, chunks, chunker.Ordinal, ct), ct))
                return false;
            if (window.Progress - reported >= ReportStep)
            {
                reported = window.Progress;
                await context.ReportAsync(reported * 0.9, pages > 0 ? $"{pages} pages, {chunker.Ordinal} passages" : $"{chunker.Ordinal} passages", ct);
            }
        }

        if (!await storing.EndAsync())
            return false;
        if (chunker.Ordinal == 0)
            throw new ExtractionFailedException("It contains no text.");
        var title = Title(info.Title, chunker.FirstHeading);
        var metadata = JsonSerializer.Serialize(info.Metadata ?? new Dictionary<string, string>(StringComparer.Ordinal), ContractJson.Options);
        var count = info.Pages ?? (pages > 0 ? pages : null);
        await (job.IsReplacement ? store.StageAsync(job, title, count, metadata, ct) : store.PublishAsync(job, title, count, metadata, ct));
        followUp.Wake();
        return true;
    }

    private async Task<StagedWindow> StageAsync(
        IngestJob job, TextWindow window, int start, IReadOnlyList<NewChunk> chunks, int nextOrdinal, CancellationToken ct)
    {
        var wanted = chunks.DistinctBy(chunk => Convert.ToHexString(chunk.ContentHash)).ToList();
        var known = wanted.Count == 0
            ? []
            : await store.KnownEmbeddingsAsync(job.OwnerId, embedder.Space, [.. wanted.Select(chunk => chunk.ContentHash)], ct);
        var embeddings = new List<(byte[], ReadOnlyMemory<float>)>();
        foreach (var batch in wanted.Where(chunk => !known.Contains(Convert.ToHexString(chunk.ContentHash))).Chunk(options.Value.EmbeddingBatch))
        {
            var vectors = await embedder.EmbedAsync([.. batch.Select(chunk => chunk.Indexed)], ct);
            embeddings.AddRange(batch.Select((chunk, i) => (chunk.ContentHash, vectors[i])));
        }

        return new StagedWindow
        {
            Text = window.Text,
            Start = start,
            NextOrdinal = nextOrdinal,
            Progress = window.Progress,
            Chunks = chunks,
            Model = embedder.Space.Model,
            Embeddings = embeddings,
        };
    }

    /// <summary>
    /// Gives the index the new version while the old one answers, then puts it in its place. Where no index holds the owner, the next load reads the rows.
    /// </summary>
    private async Task SwapAsync(IngestJob job, TaskContext context, CancellationToken ct)
    {
        await context.ReportAsync(0.9, "Indexing", ct);
        if (!index.For(job.OwnerId).TakesWrites)
            await store.TellStagedAsync(job, follower.Message(job.OwnerId), ct);
        else if (!await WritePassagesAsync(after => store.StagedAsync(job, after, IndexBatch, ct), batch => WriteStagedAsync(job, batch, ct)))
            throw new TaskPostponedException("The index can not be reached; the old version answers until it can.", IndexRetry);
        await store.SwapAsync(job, ct);
        followUp.Wake();
    }

    /// <summary>Writes the index from the rows; what it does not take now stays in the outbox and is found by the exact tail meanwhile.</summary>
    private async Task IndexAsync(IngestJob job, TaskContext context, CancellationToken ct)
    {
        await context.ReportAsync(0.9, "Indexing", ct);
        outbox.Wake();
        if (!index.For(job.OwnerId).TakesWrites)
            await store.AllIndexedAsync(job, follower.Message(job.OwnerId), ct);
        await WritePassagesAsync(after => store.UnindexedAsync(job, after, IndexBatch, ct), batch => WriteBatchAsync(job, batch, ct));
        await store.SetStatusAsync(job, "ready", 1, ct);
    }

    /// <summary>Two batches are under way at a time: while the index takes one, the rows of the next are read and put into its form.</summary>
    /// <returns>False: the index did not take all of them.</returns>
    private static async Task<bool> WritePassagesAsync(Func<int, Task<List<UnindexedChunk>>> next, Func<List<UnindexedChunk>, Task<bool>> write)
    {
        var underWay = new Queue<Task<bool>>();
        try
        {
            var last = -1;
            while (await next(last) is { Count: > 0 } batch)
            {
                last = batch[^1].Ordinal;
                if (underWay.Count == BatchesAtOnce && !await underWay.Dequeue())
                    return false;
                underWay.Enqueue(write(batch));
            }

            return (await Task.WhenAll(underWay)).All(isWritten => isWritten);
        }
        finally
        {
            // Nothing of this attempt may go on behind it; the first failure is the one that is thrown.
            await ((Task)Task.WhenAll(underWay)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>False: the index can't be reached, and the outbox goes on.</returns>
    private async Task<bool> WriteBatchAsync(IngestJob job, List<UnindexedChunk> batch, CancellationToken ct)
    {
        if (!await WriteStagedAsync(job, batch, ct))
            return false;
        await store.IndexedAsync(job, batch, ct);
        return true;
    }

    /// <returns>False: the index can't be reached.</returns>
    private async Task<bool> WriteStagedAsync(IngestJob job, List<UnindexedChunk> batch, CancellationToken ct)
    {
        var current = await truth.ReadAsync([.. batch.Select(each => each.Id)], ct);
        try
        {
            if (current.Count > 0)
                await index.For(job.OwnerId).WriteAsync([.. current.Select(IndexWrites.From)], ct);
        }
        catch (QdrantException error)
        {
            LogIndexBehind(error, job.DocumentId);
            return false;
        }

        await follower.TellAsync(job.OwnerId, [.. batch.Select(each => each.Id)], ct);
        return true;
    }

    private WindowChunker NewChunker(IngestJob job) => new(
        job.DocumentId,
        job.Version,
        new ChunkingOptions { TargetCharacters = options.Value.ChunkCharacters, MaxCharacters = options.Value.ChunkCharacters * 5 / 3 });

    private static string? Title(string? own, string? firstHeading)
    {
        var title = string.IsNullOrWhiteSpace(own) ? firstHeading : own.Trim();
        return title is { Length: > MaxTitle } ? title[..(char.IsHighSurrogate(title[MaxTitle - 1]) ? MaxTitle - 1 : MaxTitle)] : title;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Document {DocumentId} failed in its last attempt ({Attempt})")]
    private partial void LogGaveUp(Exception error, Guid documentId, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The index did not take passages of document {DocumentId}; it is tried again")]
    private partial void LogIndexBehind(Exception error, Guid documentId);
}
