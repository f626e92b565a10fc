using System.Globalization;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Agents;

/// <summary>
/// Names of tool calls. A client approves a call by its name, so within a run each has one of its own that an address can hold; some
/// providers give none, or the same one in each answer. Pure but for the set.
/// </summary>
internal static class CallIds
{
    private const int MaxLength = 100;

    /// <param name="call">As the provider sent it; what belongs to the answer is told to the provider under the name that this gives.</param>
    /// <param name="taken">The run's names so far; the call's is added.</param>
    public static FunctionCallContent MakeUnique(FunctionCallContent call, HashSet<string> taken)
    {
        var name = IsUsable(call.CallId) ? call.CallId : "call";
        var unique = name;
        for (var i = 2; !taken.Add(unique); i++)
            unique = string.Create(CultureInfo.InvariantCulture, $"{name}_{i}");
        return unique == call.CallId ? call : new FunctionCallContent(unique, call.Name, call.Arguments) { Exception = call.Exception };
    }

    private static bool IsUsable(string id) => id.Length is > 0 and <= MaxLength && id.Any(char.IsAsciiLetterOrDigit) && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.' or ':');
}
