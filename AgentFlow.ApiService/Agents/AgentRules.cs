using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;

namespace AgentFlow.ApiService.Agents;

/// <summary>What a definition must satisfy, wherever it comes from. Pure.</summary>
internal static partial class AgentRules
{
    private const int MaxInstructions = 32_000;
    private const int MaxNameLength = 200;
    private const int MaxCollections = 50;

    /// <returns>One sentence for each fault: field, what was found, what is allowed. Empty: the definition holds.</returns>
    /// <param name="tools">Names of the tools that exist; null: names are not checked (sources that connect later bring their own).</param>
    public static IReadOnlyList<string> Check(AgentDefinition agent, IReadOnlySet<string>? tools = null)
    {
        var faults = new List<string>();
        if (!SlugPattern().IsMatch(agent.Slug))
            faults.Add($"slug: found '{agent.Slug}'. Use 1 to 64 of a-z, 0-9 and hyphens, beginning with a letter or digit.");
        if (agent.Name is { Length: 0 or > MaxNameLength })
            faults.Add($"name: found {agent.Name.Length} characters. Use 1 to {MaxNameLength}.");
        if (agent.Description is { Length: > 2_000 })
            faults.Add($"description: found {agent.Description.Length} characters. Use at most 2000.");
        if (string.IsNullOrWhiteSpace(agent.Instructions))
            faults.Add("instructions: found none. Say what the agent is for, here or in the file that 'prompt' names.");
        else if (agent.Instructions.Length > MaxInstructions)
            faults.Add($"instructions: found {agent.Instructions.Length} characters. Use at most {MaxInstructions}.");
        if (agent.Models.Count == 0 || agent.Models.Any(string.IsNullOrWhiteSpace))
            faults.Add("models: found an empty list or name. Name models, or '*' for every configured one.");
        if (agent.Retrieval.Collections.Count > MaxCollections)
            faults.Add($"retrieval: found {agent.Retrieval.Collections.Count} collections. Use at most {MaxCollections}.");
        CheckTools(agent, tools, faults);
        CheckRanges(agent, "temperature", faults);
        CheckRanges(agent.Retrieval, "retrieval", faults);
        CheckRanges(agent.Memory, "memory", faults);
        CheckRanges(agent.Limits, "limits", faults);
        return faults;
    }

    private static void CheckTools(AgentDefinition agent, IReadOnlySet<string>? tools, List<string> faults)
    {
        foreach (var twice in agent.Tools.GroupBy(t => t.Name, StringComparer.Ordinal).Where(g => g.Count() > 1))
            faults.Add($"tools: found '{twice.Key}' twice. Grant each tool once.");
        foreach (var unknown in agent.Tools.Where(t => tools is not null && !t.Name.Contains('.') && !tools.Contains(t.Name)))
            faults.Add($"tools: found '{unknown.Name}'. Known are {string.Join(", ", tools!.Order(StringComparer.Ordinal))}; tools of other sources are named <source>.<tool>.");
    }

    private static void CheckRanges(object settings, string name, List<string> faults)
    {
        var problems = new List<ValidationResult>();
        Validator.TryValidateObject(settings, new ValidationContext(settings), problems, validateAllProperties: true);
        foreach (var problem in problems)
        {
            var member = problem.MemberNames.FirstOrDefault() ?? "";
            var value = settings.GetType().GetProperty(member)?.GetValue(settings);
            faults.Add($"{name}: found {value}. {problem.ErrorMessage}");
        }
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,63}$", RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex SlugPattern();
}
