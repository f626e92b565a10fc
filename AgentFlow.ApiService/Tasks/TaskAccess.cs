using System.Text.Json;
using AgentFlow.ApiService.Identity;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Tasks;

/// <summary>
/// What an API key needs beside <c>chat</c>, which opens the tasks' routes: work on documents or memories is as much as the routes of documents or
/// memories. Sessions, and keys with <c>write</c>, may all of it. Pure.
/// </summary>
internal static class TaskAccess
{
    /// <exception cref="ProblemException">403: the key lacks the scope of what the task works on.</exception>
    public static void Check(Caller caller, string kind, JsonElement input)
    {
        foreach (var area in AreasOf(kind, input))
            Check(caller, area);
    }

    private static void Check(Caller caller, string area)
    {
        if (!Policies.Requirements[area].Allows(caller, HttpMethods.Post))
            throw new ProblemException(StatusCodes.Status403Forbidden, "forbidden", $"A key needs the scope {area} for this task, too.");
    }

    /// <summary>Of <see cref="Policies.Documents"/> and <see cref="Policies.Memory"/>.</summary>
    private static IEnumerable<string> AreasOf(string kind, JsonElement input) => kind switch
    {
        TaskKinds.Ingest or TaskKinds.Reembed => [Policies.Documents],
        TaskKinds.MemoryExport or TaskKinds.MemoryImport => [Policies.Memory],
        TaskKinds.Erase => TaskKinds.Read<EraseRequest>(input).What.Select(what => what == EraseRequest.Memories ? Policies.Memory : Policies.Documents),
        _ => [],
    };
}
