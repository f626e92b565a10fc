using System.Text.Json;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Tasks;

/// <summary>Embeds what the configured model has not embedded yet, and has the index take it. Goes on where it was cut off.</summary>
internal sealed class ReembedTask(Reembedding reembedding) : ITaskHandler
{
    public string Kind => TaskKinds.Reembed;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var done = 0;
        while (await reembedding.NextAsync(context.OwnerId, ct) is > 0 and var count)
        {
            done += count;
            await context.ReportAsync(0.5, $"{done} passages", ct);
        }

        return JsonSerializer.SerializeToElement(new { passages = done }, ContractJson.Options);
    }
}
