using System.Text.RegularExpressions;
using AgentFlow.Contracts.Memories;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>
/// Keeps memories from being learned from themselves: system prompts, tool results and recalled context blocks are never extracted from.
/// Pure.
/// </summary>
internal static partial class EchoGuard
{
    /// <summary>Around what <c>POST /api/context</c> answers.</summary>
    internal const string OpeningMark = "<recalled-memories>";

    internal const string ClosingMark = "</recalled-memories>";

    /// <returns>The messages that facts may be taken from, without recalled blocks; those left empty are dropped.</returns>
    internal static IReadOnlyList<MemoryMessage> Strip(IEnumerable<MemoryMessage> messages) =>
    [
        .. messages
            .Where(message => !IsOurs(message.Role))
            .Select(message => message with { Content = Strip(message.Content) })
            .Where(message => !string.IsNullOrWhiteSpace(message.Content)),
    ];

    internal static string Strip(string text) =>
        text.Contains(OpeningMark, StringComparison.OrdinalIgnoreCase) ? BlockPattern().Replace(text, string.Empty) : text;

    /// <summary>Roles whose words are instructions or data of the application, not somebody's statements.</summary>
    private static bool IsOurs(string role) =>
        role.Equals("system", StringComparison.OrdinalIgnoreCase) || role.Equals("developer", StringComparison.OrdinalIgnoreCase)
        || role.Equals("tool", StringComparison.OrdinalIgnoreCase) || role.Equals("function", StringComparison.OrdinalIgnoreCase);

    // An unclosed block reaches to the end: better to lose a statement than to learn from an echo.
    [GeneratedRegex(OpeningMark + @".*?(?:" + ClosingMark + @"|\z)", RegexOptions.Singleline | RegexOptions.IgnoreCase | RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex BlockPattern();
}
