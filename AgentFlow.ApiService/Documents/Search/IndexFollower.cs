using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Threading.Channels;
using AgentFlow.Retrieval.Index;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Keeps what this process holds of the index in memory in step with what other processes write: whoever brings passages to its index tells
/// their ids, and the others read the rows. Lost notifications are known by the new connection, and everything held is then loaded anew.
/// </summary>
internal sealed partial class IndexFollower(
    VectorIndex index, ChunkTruth truth, Database database, Notifications notifications, ILogger<IndexFollower> logger) : BackgroundService
{
    private const string Topic = "passages";

    /// <summary>A process's word to itself: everything that was committed before has been told by then.</summary>
    private const string CaughtUpTopic = "passages_until";

    /// <summary>Word takes milliseconds; when it does not come, loading anew is certain.</summary>
    private static readonly TimeSpan WordLimit = TimeSpan.FromSeconds(2);

    /// <summary>Documents whose version is known to be held; beyond them all are asked for anew.</summary>
    private const int MaxKnown = 10_000;

    /// <summary>A notification holds 8,000 bytes; an id takes 22 of them.</summary>
    public const int IdsPerMessage = 300;

    /// <summary>An id (column <c>entity_id</c>) as messages carry it.</summary>
    public const string EncodeSql = "rtrim(translate(encode(uuid_send(entity_id), 'base64'), '+/', '-_'), '=')";

    private const int IdLength = 22;

    /// <summary>Beyond this many unread messages loading anew is cheaper than following.</summary>
    private const int MaxWaiting = 2_000;

    private readonly string self = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<Guid, int> known = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> words = new(StringComparer.Ordinal);
    private readonly Channel<News> waiting = Channel.CreateBounded<News>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private volatile bool missed;

    /// <param name="Word">Of this process to itself; nothing else then.</param>
    private sealed record News(Guid OwnerId, Guid[] Ids, string? Word = null);

    /// <summary>What a whole notification about this owner starts with, for statements that send it themselves; ids follow.</summary>
    public string Message(Guid ownerId) => $"{Topic}:{self}{ownerId:N}";

    /// <summary>Says that the index has these passages as their rows are now, or has lost them.</summary>
    public async Task TellAsync(Guid ownerId, IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        foreach (var part in ids.Chunk(IdsPerMessage))
        {
            var batch = database.AsWorker().CreateBatch();
            notifications.Notify(batch, Topic, $"{self}{ownerId:N}{string.Concat(part.Select(Encode))}");
            await batch.ExecuteAsync(ct);
        }
    }

    /// <summary>
    /// Sees to it that what this process holds in memory has every passage of these versions of documents: whoever replaced one told of its passages
    /// before it became live. One more round trip for the first search that meets the version here; a first version is found through the outbox.
    /// </summary>
    /// <param name="live">The version of each document that was seen live.</param>
    /// <returns>True: it may know more than before, and should be asked again.</returns>
    public async Task<bool> CatchUpAsync(Guid ownerId, IReadOnlyDictionary<Guid, int> live, CancellationToken ct)
    {
        if (!index.For(ownerId).IsInMemory)
            return false;
        var news = live.Where(each => each.Value > 1 && known.GetValueOrDefault(each.Key) < each.Value).ToList();
        if (news.Count == 0)
            return false;
        await HearAllAsync(ct);
        if (known.Count > MaxKnown)
            known.Clear();
        foreach (var (document, version) in news)
            known.AddOrUpdate(document, version, (_, before) => Math.Max(before, version));
        return true;
    }

    private async Task HearAllAsync(CancellationToken ct)
    {
        var word = $"{self}{Guid.NewGuid():N}";
        var heard = words[word] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            var batch = database.AsWorker().CreateBatch();
            notifications.Notify(batch, CaughtUpTopic, word);
            await batch.ExecuteAsync(ct);
            await heard.Task.WaitAsync(WordLimit, ct);
        }
        catch (TimeoutException)
        {
            index.Forget();
        }
        finally
        {
            words.TryRemove(word, out _);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = notifications.Subscribe(Topic, Hear);
        using var own = notifications.Subscribe(CaughtUpTopic, HearWord);
        try
        {
            await foreach (var news in waiting.Reader.ReadAllAsync(stoppingToken))
            {
                if (missed)
                {
                    missed = false;
                    index.Forget();
                }

                await FollowAsync(news, stoppingToken);
                if (news.Word is not null && words.TryGetValue(news.Word, out var word))
                    word.TrySetResult();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    /// <summary>On the listening thread. An empty text says that notifications may have been lost.</summary>
    private void Hear(string text)
    {
        if (text.StartsWith(self, StringComparison.Ordinal))
            return;
        var news = Parse(text);
        if (news is null || !waiting.Writer.TryWrite(news))
        {
            missed = true;
            waiting.Writer.TryWrite(new News(Guid.Empty, []));
        }
    }

    /// <summary>On the listening thread, after everything that was told before. Where nothing more can wait, the limit decides.</summary>
    private void HearWord(string text)
    {
        if (words.ContainsKey(text))
            waiting.Writer.TryWrite(new News(Guid.Empty, [], text));
    }

    private async Task FollowAsync(News news, CancellationToken ct)
    {
        if (news.Ids.Length == 0 || !index.For(news.OwnerId).IsInMemory)
            return;
        try
        {
            var current = (await truth.ReadAsync(news.Ids, ct)).Where(point => point.OwnerId == news.OwnerId).Select(IndexWrites.From).ToList();
            if (current.Count > 0)
                await index.For(news.OwnerId).FollowAsync(current, ct);
        }
        catch (NpgsqlException error)
        {
            LogBehind(error);
            index.Forget();
        }
    }

    private static News? Parse(string text)
    {
        if (text.Length < 64 || (text.Length - 64) % IdLength != 0 || !Guid.TryParseExact(text.AsSpan(32, 32), "N", out var owner))
            return null;
        var ids = new Guid[(text.Length - 64) / IdLength];
        Span<byte> bytes = stackalloc byte[16];
        for (var i = 0; i < ids.Length; i++)
        {
            if (!Base64Url.TryDecodeFromChars(text.AsSpan(64 + (i * IdLength), IdLength), bytes, out var written) || written != 16)
                return null;
            ids[i] = new Guid(bytes, bigEndian: true);
        }

        return new News(owner, ids);
    }

    private static string Encode(Guid id) => Base64Url.EncodeToString(id.ToByteArray(bigEndian: true));

    [LoggerMessage(Level = LogLevel.Warning, Message = "What other processes wrote could not be read; the index in memory is loaded anew when it is asked")]
    private partial void LogBehind(Exception error);
}
