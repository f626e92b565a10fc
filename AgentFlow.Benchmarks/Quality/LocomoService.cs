using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Quality;

/// <summary>
/// The same table as <see cref="LocomoQuality"/>, but of the running memory service: every turn is added verbatim over HTTP, every question is
/// a search over HTTP, one owner for each conversation. <c>quality locomo-service file</c>
/// </summary>
internal static class LocomoService
{
    public static async Task<int> RunAsync(string[] args, CancellationToken ct)
    {
        if (args.Length != 1 || !File.Exists(args[0]))
        {
            Console.WriteLine("usage: dotnet run -c Release --project AgentFlow.Benchmarks -- quality locomo-service <file in LoCoMo's layout>");
            return 2;
        }

        await using var postgres = await PrivatePostgres.StartAsync();
        await using var host = await BareMemory.StartAsync(await postgres.CreateDatabaseAsync(ct), ct);
        var (words, ours) = (new LocomoRecall(), new LocomoRecall());
        foreach (var conversation in LocomoConversation.Load(args[0]))
        {
            using var client = await host.ClientAsync(Guid.CreateVersion7(), null, ct);
            var ids = await StoreAsync(client, conversation, ct);
            var index = new InProcessIndex(new LocomoTruth(conversation), HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
            foreach (var question in conversation.Questions)
            {
                var hits = await index.SearchAsync(Guid.AllBitsSet, new IndexQuery { Text = question.Text, Limit = LocomoRecall.Deep }, ct);
                words.Add(question, hits.OrderByDescending(hit => hit.Bm25).Select(hit => hit.Id));
                ours.Add(question, (await SearchAsync(client, conversation.Name, question.Text, ct)).SelectMany(id => ids[id]));
            }
        }

        LocomoRecall.PrintHead();
        words.Print("BM25 alone");
        ours.Print("over HTTP");
        return ours.Judge(words);
    }

    /// <returns>The turns by the memory that holds them; a turn that was said twice in the same words at the same moment is one memory.</returns>
    private static async Task<Dictionary<MemoryId, List<Guid>>> StoreAsync(HttpClient client, LocomoConversation conversation, CancellationToken ct)
    {
        var ids = new Dictionary<MemoryId, List<Guid>>();
        foreach (var session in conversation.Turns.GroupBy(turn => turn.Turn.Session))
        {
            var turns = session.ToList();
            var request = new AddMemoryRequest
            {
                Messages = [.. turns.Select(turn => new MemoryMessage("user", turn.Text, turn.Turn.Speaker))],
                UserId = conversation.Name,
                SessionId = session.Key,
                Infer = false,
                ObservedAt = turns[0].Turn.ObservedAt,
            };
            using var response = await client.PostAsJsonAsync("/api/memories", request, ContractJson.Options, ct);
            response.EnsureSuccessStatusCode();
            var added = (await response.Content.ReadFromJsonAsync<AddMemoryResponse>(ContractJson.Options, ct))!;
            foreach (var (item, turn) in added.Items.Zip(turns))
            {
                if (!ids.TryGetValue(item.Id, out var same))
                    ids[item.Id] = same = [];
                same.Add(turn.Id);
            }
        }

        return ids;
    }

    private static async Task<IEnumerable<MemoryId>> SearchAsync(HttpClient client, string user, string question, CancellationToken ct)
    {
        var request = new SearchMemoriesRequest { Query = question, Filter = JsonSerializer.SerializeToElement(new { userId = user }), TopK = LocomoRecall.Deep };
        using var response = await client.PostAsJsonAsync("/api/memories/search", request, ContractJson.Options, ct);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<SearchMemoriesResponse>(ContractJson.Options, ct))!.Items.Select(item => item.Id);
    }
}
