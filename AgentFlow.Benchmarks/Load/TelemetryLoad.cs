using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// What telemetry costs: the same questions to two processes on one database, one of which exports every trace, metric and log over OTLP to a sink here. Pairs
/// of short batches, in changing order, so that whatever else the machine does meets both. <c>-- load telemetry [pairs]</c>
/// </summary>
internal static class TelemetryLoad
{
    private const int BatchSize = 400;
    private const int InParallel = 8;
    private const int UsualPairs = 15;

    /// <summary>10,000 questions: until then the runtime compiles what it meets often, and half of the processor time is the compiler's.</summary>
    private const int WarmBatches = 25;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var pairs = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : UsualPairs;
        var figures = new Figures();
        await using var sink = await Sink.StartAsync(ct);
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        await using var silent = await ApiProcess.StartAsync(await postgres.CreateDatabaseAsync(ct), Settings(null), ct);
        await using var telling = await ApiProcess.StartAsync(await postgres.CreateDatabaseAsync(ct), Settings(sink.Address), ct);
        using var one = silent.Client();
        using var other = telling.Client();
        for (var warm = 0; warm < WarmBatches; warm++)
        {
            await BatchAsync(silent, one, ct);
            await BatchAsync(telling, other, ct);
        }

        var (rates, costs) = (new List<double>(), new List<double>());
        for (var pair = 0; pair < pairs; pair++)
        {
            var without = pair % 2 == 0 ? await BatchAsync(silent, one, ct) : default;
            var with = await BatchAsync(telling, other, ct);
            without = pair % 2 == 0 ? without : await BatchAsync(silent, one, ct);
            rates.Add(with.Rate / without.Rate);
            costs.Add(with.Processor / without.Processor);
        }

        figures.Report("requests that reached the sink", sink.Requests, "", atLeast: 1);
        figures.Report("throughput with telemetry, of that without, median", Figures.Percentile(rates, 50) * 100, "%", atLeast: 95);
        figures.Report("the same, worst and best pair", Figures.Percentile(rates, 0) * 100, "%");
        figures.Report("", Figures.Percentile(rates, 100) * 100, "%");
        figures.Report("processor time of the API each question, ratio, median", Figures.Percentile(costs, 50), "");
        return figures.ExitCode;
    }

    private static Dictionary<string, string> Settings(Uri? sink)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["Models:Extractive:WordsPerSecond"] = "0" };
        if (sink is not null)
        {
            settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = sink.ToString();
            settings["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
            settings["OTEL_SERVICE_NAME"] = "api";
        }

        return settings;
    }

    /// <returns>Questions a second, and milliseconds of processor time of the service for each.</returns>
    private static async Task<(double Rate, double Processor)> BatchAsync(ApiProcess api, HttpClient client, CancellationToken ct)
    {
        var (before, started) = (api.ProcessorTime(), Stopwatch.GetTimestamp());
        await Parallel.ForAsync(0, BatchSize, new ParallelOptions { MaxDegreeOfParallelism = InParallel, CancellationToken = ct }, async (_, token) =>
        {
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "What is there?" }, ContractJson.Options, token);
            response.EnsureSuccessStatusCode();
        });
        return (BatchSize / Stopwatch.GetElapsedTime(started).TotalSeconds, (api.ProcessorTime() - before).TotalMilliseconds / BatchSize);
    }

    /// <summary>Takes OTLP over HTTP and throws it away.</summary>
    private sealed class Sink(WebApplication app) : IAsyncDisposable
    {
        private int _requests;

        public int Requests => _requests;

        public Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

        public static async Task<Sink> StartAsync(CancellationToken ct)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            var app = builder.Build();
            var sink = new Sink(app);
            app.Run(sink.TakeAsync);
            await app.StartAsync(ct);
            return sink;
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();

        private async Task TakeAsync(HttpContext context)
        {
            await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
            Interlocked.Increment(ref _requests);
            context.Response.ContentType = "application/x-protobuf";
        }
    }
}
