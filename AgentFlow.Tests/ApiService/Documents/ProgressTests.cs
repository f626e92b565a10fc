using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Tasks;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

public sealed class ProgressTests
{
    private const int Pages = 4_000;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>The second window's embedding is held, so that the ingestion stands still after the first one.</summary>
    [Fact]
    public async Task How_far_an_ingestion_is_can_be_read_in_pages_and_passages()
    {
        using var embedder = new HeldEmbedder($"Page {Pages - 10} tells");
        await using var host = await ApiHost.StartAsync([], builder => builder.Services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(embedder));
        var client = new DocumentClient(host.Admin);
        var upload = await client.UploadAsync("harbour.pdf", Samples.Pdf(
            [.. Enumerable.Range(1, Pages).Select(page => $"Page {page} tells of the harbour, of its ships and of {page} barrels in its store house.")]));
        await embedder.Reached.Task.WaitAsync(Patience.Limit, Ct);

        var stored = await Patience.UntilAsync(
            () => host.Services.GetRequiredService<Database>().AsWorker().QuerySingleAsync(
                "select count(*)::int, coalesce(max(page), 0) from chunks where document_id = $1", [upload.Id!.Value.Value], row => (Passages: row.GetInt32(0), Page: row.GetInt32(1)), Ct),
            found => found.Passages > 0,
            "the first window is stored");
        Assert.InRange(stored.Page, 2, Pages - 20);
        var step = $"{stored.Page} pages, {stored.Passages} passages";

        var task = await Patience.UntilAsync(() => TaskAsync(client, upload), found => found.Step == step, step);
        Assert.Equal((BackgroundTaskStatus.Running, 0.9 * stored.Page / Pages), (task.Status, task.Progress), Near);
        var document = await Patience.UntilAsync(() => client.GetAsync(upload.Id!.Value), found => found.Progress > 0, "the document's own progress");
        Assert.Equal((DocumentStatus.Embedding, (double)stored.Page / Pages), (document.Status, document.Progress), Near);
        Assert.Equal(stored.Passages, document.ChunksSoFar);
        using var response = await client.Http.GetAsync($"/api/tasks/{upload.TaskId}/events", HttpCompletionOption.ResponseHeadersRead, Ct);
        using var events = new StreamReader(await response.Content.ReadAsStreamAsync(Ct));
        Assert.Equal(step, (await NextAsync(events)).Step);

        embedder.Hold.SetResult();
        var seen = new List<BackgroundTask>();
        do
        {
            seen.Add(await NextAsync(events));
        }
        while (seen[^1].EndedAt is null);
        Assert.Equal((BackgroundTaskStatus.Succeeded, 1), (seen[^1].Status, seen[^1].Progress));
        Assert.Equal(seen.Select(one => one.Progress).Order(), seen.Select(one => one.Progress));
        var ready = await client.GetAsync(upload.Id!.Value);
        Assert.Equal((DocumentStatus.Ready, Pages, 1), (ready.Status, ready.Pages, ready.Progress));
        Assert.True(ready.Chunks > stored.Passages);
    }

    private static bool Near<T>((T State, double Progress) first, (T State, double Progress) second) =>
        Equals(first.State, second.State) && Math.Abs(first.Progress - second.Progress) < 0.01;

    private static async Task<BackgroundTask> TaskAsync(DocumentClient client, UploadedDocument upload) =>
        (await client.Http.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{upload.TaskId}", ContractJson.Options, Ct))!;

    private static async Task<BackgroundTask> NextAsync(StreamReader events)
    {
        while (await events.ReadLineAsync(Ct) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
                return JsonSerializer.Deserialize<BackgroundTask>(line["data: ".Length..], ContractJson.Options)!;
        }

        throw new EndOfStreamException("The stream ended before the task did.");
    }

    /// <summary>Answers nothing from the passage on that holds the mark, until it is let go.</summary>
    private sealed class HeldEmbedder(string mark) : IEmbeddingGenerator<string, Embedding<float>>
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Hold { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
        {
            var asked = values.ToList();
            if (asked.Exists(text => text.Contains(mark, StringComparison.Ordinal)))
            {
                Reached.TrySetResult();
                await Hold.Task.WaitAsync(cancellationToken);
            }

            return new GeneratedEmbeddings<Embedding<float>>(asked.Select(text => new Embedding<float>(HashingEmbeddingGenerator.Embed(text))));
        }

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
