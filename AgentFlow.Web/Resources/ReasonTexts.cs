using System.Collections;
using System.Globalization;
using System.Resources;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Resources;

/// <summary>
/// Why a document or a task failed, in the reader's language. The API stores a sentence; the sentences that it can store stand in the resources,
/// with {0} for the numbers and names in them. One that does not, of a newer API, is said in the API's words.
/// </summary>
internal static class ReasonTexts
{
    /// <summary>Before the sentence, in a resource's name.</summary>
    public const string Prefix = "reason: ";

    private static readonly Lazy<IReadOnlyList<(string Name, Regex Form)>> Known = new(Read);

    /// <summary>Reasons are told at most this deep within one another.</summary>
    private const int MostNested = 2;

    public static string Reason(this IStringLocalizer texts, string sentence) => Reason(texts, sentence, MostNested);

    private static string Reason(IStringLocalizer texts, string sentence, int depth)
    {
        foreach (var (name, form) in Known.Value)
        {
            if (form.Match(sentence) is { Success: true } match)
                return texts[name, [.. match.Groups.Values.Skip(1).Select(part => (object)(depth > 0 ? Reason(texts, part.Value, depth - 1) : part.Value))]];
        }

        return sentence;
    }

#pragma warning disable MA0009 // Without backtracking an expression takes a time that grows with its text alone.
    /// <summary>The longest first: one may begin as another does.</summary>
    private static List<(string Name, Regex Form)> Read() =>
    [
        .. new ResourceManager(typeof(Texts)).GetResourceSet(CultureInfo.InvariantCulture, createIfNotExists: true, tryParents: true)!.Cast<DictionaryEntry>()
            .Select(entry => (string)entry.Key).Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).OrderByDescending(name => name.Length)
            .Select(name => (name, new Regex("^" + Regex.Replace(Regex.Escape(name[Prefix.Length..]), @"\\\{\d}", "(.+)") + "$", RegexOptions.NonBacktracking | RegexOptions.Singleline))),
    ];
#pragma warning restore MA0009
}
