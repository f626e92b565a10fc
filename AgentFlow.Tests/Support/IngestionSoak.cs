using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Tasks;

namespace AgentFlow.Tests.Support;

/// <summary>
/// Kills the service at random moments while it ingests files, then looks at every one: it ended ready or failed with a reason, no passage is
/// missing or double, and no task is stuck. The seed decides moments and files.
/// </summary>
public static class IngestionSoak
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <returns>What is wrong, one line each; empty when nothing is.</returns>
    public static async Task<IReadOnlyList<string>> RunAsync(PrivatePostgres postgres, int kills, int files, int seed, Action<string> say, CancellationToken ct)
    {
        var random = new Random(seed);
        var settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["Queue__Lease"] = "00:00:01", ["Queue__RetryDelay"] = "00:00:00.100", ["Documents__UpkeepInterval"] = "00:00:01" };
        await using var api = await MeasuredApi.StartAsync(await postgres.CreateDatabaseAsync(ct), settings, ct);
        var ids = new List<DocumentId>();
        for (var i = 0; i < files; i++)
            ids.Add(await UploadAsync(api, i, Content(random, i), ct));
        for (var kill = 1; kill <= kills; kill++)
        {
            await Task.Delay(random.Next(20, 900), ct);
            await api.KillAsync(ct);
            await api.StartAsync(ct);
            await KeepBusyAsync(api, ids, random, ct);
            if (kill % 25 == 0)
                say($"{kill} kills");
        }

        var problems = new List<string>();
        var ready = 0;
        foreach (var id in ids)
        {
            var document = await EndAsync(api, id, ct);
            if (document.Status == DocumentStatus.Ready)
            {
                ready++;
                await CheckPassagesAsync(api, document, problems, ct);
            }
            else if (string.IsNullOrWhiteSpace(document.FailureReason))
            {
                problems.Add($"{document.Name} is {document.Status} without a reason");
            }
        }

        await CheckTasksAsync(api, problems, ct);
        say($"seed {seed}: {kills} kills, {files} files: {ready} ready, {files - ready} failed with a reason, {problems.Count} problems");
        return problems;
    }

    /// <summary>Something must be under way at the next kill: finished documents are taken once more.</summary>
    private static async Task KeepBusyAsync(MeasuredApi api, List<DocumentId> ids, Random random, CancellationToken ct)
    {
        var page = await api.Http.GetFromJsonAsync<Page<DocumentSummary>>("/api/documents?limit=200", ContractJson.Options, ct);
        var ended = page!.Items.Where(document => document.Status is DocumentStatus.Ready or DocumentStatus.Failed).ToList();
        if (ids.Count - ended.Count > ids.Count / 4)
            return;
        foreach (var document in ended.OrderBy(_ => random.Next()).Take(ids.Count / 2))
        {
            using var response = await api.Http.PostAsync($"/api/documents/{document.Id}/retry", null, ct);
        }
    }

    private static async Task<DocumentSummary> EndAsync(MeasuredApi api, DocumentId id, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Patience);
        while (true)
        {
            var document = await api.Http.GetFromJsonAsync<DocumentSummary>($"/api/documents/{id}", ContractJson.Options, limit.Token);
            if (document!.Status is DocumentStatus.Ready or DocumentStatus.Failed)
                return document;
            await Task.Delay(50, limit.Token);
        }
    }

    /// <summary>Passages are numbered without gap and, joined, are the stored text without its white space.</summary>
    private static async Task CheckPassagesAsync(MeasuredApi api, DocumentSummary document, List<string> problems, CancellationToken ct)
    {
        var text = new StringBuilder();
        for (int? start = 0; start is not null;)
        {
            var part = await api.Http.GetFromJsonAsync<DocumentText>(string.Create(CultureInfo.InvariantCulture, $"/api/documents/{document.Id}/text?start={start}"), ContractJson.Options, ct);
            text.Append(part!.Text);
            start = part.End < part.Length ? part.End : null;
        }

        var joined = new StringBuilder();
        var ordinal = 0;
        string? cursor = null;
        do
        {
            var page = await api.Http.GetFromJsonAsync<Page<DocumentChunk>>($"/api/documents/{document.Id}/chunks?limit=200{(cursor is null ? "" : $"&cursor={cursor}")}", ContractJson.Options, ct);
            foreach (var chunk in page!.Items)
            {
                if (chunk.Ordinal != ordinal++)
                    problems.Add($"{document.Name}: passage {ordinal - 1} is missing or double");
                joined.Append(chunk.Text);
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
        if (ordinal != document.Chunks)
            problems.Add($"{document.Name} has {ordinal} passages and says {document.Chunks}");
        if (Bare(text) != Bare(joined))
            problems.Add($"{document.Name}: its passages are not its text");
    }

    private static async Task CheckTasksAsync(MeasuredApi api, List<string> problems, CancellationToken ct)
    {
        foreach (var status in (BackgroundTaskStatus[])[BackgroundTaskStatus.Queued, BackgroundTaskStatus.Running])
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(Patience);
            while (await api.Http.GetFromJsonAsync<Page<BackgroundTask>>($"/api/tasks?status={status.ToString().ToLowerInvariant()}", ContractJson.Options, ct) is { Items.Count: > 0 } stuck)
            {
                if (limit.IsCancellationRequested)
                {
                    problems.Add($"{stuck.Items.Count} tasks are still {status}");
                    break;
                }

                await Task.Delay(100, ct);
            }
        }
    }

    private static string Bare(StringBuilder text) => string.Concat(text.ToString().Where(character => !char.IsWhiteSpace(character)));

    private static async Task<DocumentId> UploadAsync(MeasuredApi api, int number, string content, CancellationToken ct)
    {
        using var form = new MultipartFormDataContent { { new ByteArrayContent(Encoding.UTF8.GetBytes(content)), "file", string.Create(CultureInfo.InvariantCulture, $"file-{number}.{(number % 3 == 0 ? "html" : "md")}") } };
        using var response = await api.Http.PostAsync("/api/documents", form, ct);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, ct))!.Items[0].Id!.Value;
    }

    /// <summary>Between 10 kB and about 1 MB of sections with words of their own.</summary>
    private static string Content(Random random, int number)
    {
        var text = new StringBuilder();
        var sections = random.Next(10, 1_000);
        for (var i = 0; i < sections; i++)
        {
            text.Append(number % 3 == 0 ? $"<h2>Part {i} of {number}</h2>\n<p>" : $"## Part {i} of {number}\n\n");
            for (var word = 0; word < 120; word++)
                text.Append("word").Append(random.Next(50_000).ToString(CultureInfo.InvariantCulture)).Append(word % 12 == 11 ? ". " : " ");
            text.Append(number % 3 == 0 ? "</p>\n" : "\n\n");
        }

        return text.ToString();
    }
}
