using System.Buffers;
using System.Diagnostics;
using System.Text;
using Npgsql;

namespace AgentFlow.Benchmarks.Load;

/// <summary>When one stream said its first and its last word and ended, in ms after it was asked for.</summary>
/// <param name="AskedAt">By <see cref="Stopwatch"/>'s clock.</param>
internal readonly record struct SlowTimes(long AskedAt, double First, double Last, double End);

/// <summary>Streams that arrive evenly within two seconds, read as they come, in the same way whoever answers.</summary>
internal sealed class SlowStreams(CancellationToken ct)
{
    private const double ArrivalMs = 2_000;

    /// <summary>Processor time of this process: clients, provider and memory service.</summary>
    public static TimeSpan OwnTime()
    {
        using var self = Process.GetCurrentProcess();
        return self.TotalProcessorTime;
    }

    /// <param name="send">Asks; answers with the headers.</param>
    /// <param name="count">How many.</param>
    /// <param name="word">What each piece with a word holds.</param>
    /// <param name="end">What a stream that ended as it should holds.</param>
    /// <returns>Without those that failed.</returns>
    public async Task<List<SlowTimes>> ArriveAsync(Func<Task<HttpResponseMessage>> send, int count, string word, string end)
    {
        var times = new List<SlowTimes>();
        var (wordBytes, endBytes) = (Encoding.UTF8.GetBytes(word), Encoding.UTF8.GetBytes(end));
        await Task.WhenAll(Enumerable.Range(0, count).Select(async i =>
        {
            await Task.Delay(TimeSpan.FromMilliseconds(ArrivalMs * i / count), ct);
            try
            {
                var read = await ReadAsync(send, wordBytes, endBytes);
                lock (times)
                    times.Add(read);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or InvalidOperationException)
            {
                Console.WriteLine(error.Message);
            }
        }));
        return times;
    }

    /// <summary>How long it took until the provider was asked, too: what is lost there the whole stream is late by.</summary>
    /// <param name="who">Of the lines.</param>
    /// <param name="times">Of all that were asked for.</param>
    /// <param name="arrivals">When the provider was asked, by the same clock; the first is taken for the first's.</param>
    /// <param name="figures">To report to.</param>
    public static void Report(string who, IReadOnlyList<SlowTimes> times, IEnumerable<long> arrivals, Figures figures)
    {
        var lags = times.Select(each => each.AskedAt).Order().Zip(arrivals.Order(), (asked, arrived) => Stopwatch.GetElapsedTime(asked, arrived).TotalMilliseconds).ToArray();
        figures.Report($"1,000 slow streams, {who}, until the provider is asked, p50", Figures.Percentile(lags, 50), "ms");
        figures.Report($"1,000 slow streams, {who}, until the provider is asked, p95", Figures.Percentile(lags, 95), "ms");
        Report(who, times, figures);
    }

    private static void Report(string who, IReadOnlyList<SlowTimes> times, Figures figures)
    {
        Report("first word", times.Select(each => each.First));
        Report("first to last word", times.Select(each => each.Last - each.First));
        Report("last word to end", times.Select(each => each.End - each.Last));
        Report("whole", times.Select(each => each.End));

        void Report(string what, IEnumerable<double> values)
        {
            var all = values.ToArray();
            figures.Report($"1,000 slow streams, {who}, {what}, p50", Figures.Percentile(all, 50), "ms");
            figures.Report($"1,000 slow streams, {who}, {what}, p95", Figures.Percentile(all, 95), "ms");
        }
    }

    /// <summary>Commits a second between the last arrival and the first end, and the connections then.</summary>
    public async Task<(double CommitsPerSecond, long Connections)> WatchAsync(string database)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(ct);
        await Task.Delay(TimeSpan.FromSeconds(2.3), ct);
        var before = await CommitsAsync(connection);
        var started = Stopwatch.GetTimestamp();
        await Task.Delay(TimeSpan.FromSeconds(2.5), ct);
        var after = await CommitsAsync(connection);
        await using var count = new NpgsqlCommand("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()", connection);
        return ((after - before) / Stopwatch.GetElapsedTime(started).TotalSeconds, (long)(await count.ExecuteScalarAsync(ct))!);
    }

    /// <summary>Transactions that wrote: each delta batch takes one transaction id.</summary>
    private async Task<long> CommitsAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint", connection);
        return (long)(await command.ExecuteScalarAsync(ct))!;
    }

    private async Task<SlowTimes> ReadAsync(Func<Task<HttpResponseMessage>> send, byte[] word, byte[] end)
    {
        var begun = Stopwatch.GetTimestamp();
        var (first, last, isWhole) = (0.0, 0.0, false);
        using var response = await send();
        await using var body = await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(ct);
        var buffer = ArrayPool<byte>.Shared.Rent(4096);
        try
        {
            var held = 0;
            while (await body.ReadAsync(buffer.AsMemory(held), ct) is var read and > 0)
            {
                var at = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
                var seen = buffer.AsSpan(0, held + read);
                if (seen.IndexOf(word) >= 0)
                    (first, last) = (first == 0 ? at : first, at);
                isWhole |= seen.IndexOf(end) >= 0;

                // What a piece's border may have cut.
                held = Math.Min(seen.Length, end.Length - 1);
                seen[^held..].CopyTo(buffer);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return isWhole ? new(begun, first, last, Stopwatch.GetElapsedTime(begun).TotalMilliseconds) : throw new InvalidOperationException("A stream did not end as it should.");
    }
}
