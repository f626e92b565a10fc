using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.Tests.Retrieval.Index;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentFlow.Tests.ServiceDefaults.Telemetry;

/// <summary>Each metric that operations rely on is really measured, under the name that docs/operations.md gives it.</summary>
public sealed class MetricsTests(QdrantFixture qdrant) : IClassFixture<QdrantFixture>
{
    /// <summary>Of a whole question; the index' own comparison is measured below.</summary>
    private static readonly string[] OfAQuestion =
    [
        "http.server.request.duration", "http.server.active_requests", "kestrel.active_connections", "http.client.request.duration",
        "agentflow.streams.open", "gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.duration", "gen_ai.client.token.usage", "agentflow.model.cost",
        "gen_ai.invoke_agent.duration", "agentflow.recall.duration", "agentflow.recall.hits", "agentflow.recall.degraded",
        "agentflow.queue.depth", "agentflow.queue.age", "agentflow.queue.running", "agentflow.outbox.depth", "agentflow.outbox.lag",
        "db.client.connection.count", "db.client.operation.duration", "dotnet.gc.collections", "dotnet.gc.last_collection.heap.size", "dotnet.process.cpu.time", "dotnet.process.memory.working_set",
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_question_moves_every_metric_of_the_guide()
    {
        using var seen = new Seen();
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ => Script.Say("a", " scripted", " answer");
        await using var api = await ApiHost.StartAsync(new()
        {
            ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted", ["Models:Providers:0:ApiKey"] = "k",
            ["Models:Providers:0:InputPrice"] = "1", ["Models:Providers:0:OutputPrice"] = "2", ["Queue:MeasureInterval"] = "00:00:00.050",
        });
        using var answer = await api.Admin.Client.PostAsJsonAsync("/api/chat", new ChatRequest { Message = "Anything?" }, ContractJson.Options, Ct);
        Assert.Contains("run.completed", await answer.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        GC.Collect();
        await seen.WaitForAsync(OfAQuestion);
        var page = await File.ReadAllTextAsync(Path.Combine(Architecture.SourceTreeTests.Root, "docs", "operations.md"), Ct);
        Assert.Empty(OfAQuestion.Append("agentflow.index.divergence").Where(name => !page.Contains($"`{name}`", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_comparison_of_the_index_reports_how_far_it_was_off()
    {
        qdrant.SkipWithoutServer();
        using var seen = new Seen();
        var truth = new ListTruth();
        var index = VectorIndex.Qdrant(
            qdrant.Server.Client, qdrant.Server.Options($"m{Guid.NewGuid():N}"), truth, HashingEmbeddingGenerator.Space, new InProcessIndexOptions(), TimeProvider.System);
        using var upkeep = new IndexUpkeep(index, truth, new IndexUpkeepOptions(), TimeProvider.System, NullLogger<IndexUpkeep>.Instance);
        await upkeep.RebuildAsync(isAlone: true, Ct);
        truth.Put(Guid.CreateVersion7(), Points.Of("missing from the index"));
        Assert.Equal(1, (await upkeep.SweepAsync(Ct)).Missing);
        Assert.Contains(1d, seen.Values("agentflow.index.divergence"));
    }

    /// <summary>What any meter of this process measured since; observable ones are asked when somebody waits for them.</summary>
    private sealed class Seen : IDisposable
    {
        private readonly ConcurrentDictionary<string, ConcurrentBag<double>> _values = new(StringComparer.Ordinal);
        private readonly MeterListener _listener = new() { InstrumentPublished = (instrument, listener) => listener.EnableMeasurementEvents(instrument) };

        public Seen()
        {
            _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Keep(instrument, value));
            _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Keep(instrument, value));
            _listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Keep(instrument, value));
            _listener.Start();
        }

        public IReadOnlyCollection<double> Values(string name) => _values.GetValueOrDefault(name) ?? [];

        public async Task WaitForAsync(string[] names)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
            limit.CancelAfter(TimeSpan.FromSeconds(30));
            while (true)
            {
                _listener.RecordObservableInstruments();
                var missing = names.Where(name => !_values.ContainsKey(name)).ToArray();
                if (missing.Length == 0)
                    return;
                Assert.False(limit.IsCancellationRequested, $"Not measured: {string.Join(", ", missing)}; measured: {string.Join(", ", _values.Keys.Order(StringComparer.Ordinal))}");
                await Task.Delay(50, Ct);
            }
        }

        public void Dispose() => _listener.Dispose();

        private void Keep(Instrument instrument, double value) => _values.GetOrAdd(instrument.Name, _ => []).Add(value);
    }
}
