using System.Text.RegularExpressions;
using System.Xml.Linq;
using AgentFlow.Tests.EndToEnd;

namespace AgentFlow.Tests.Web.Resources;

/// <summary>Everything that is seen can be translated: no page has words of its own, and every text that is asked for stands in the resources.</summary>
public sealed partial class TextsTests
{
    /// <summary>Names and keys of the keyboard are the same in every language.</summary>
    private static readonly HashSet<string> Untranslated = ["AgentFlow", "Enter", "Shift", "Esc"];

    private static string Folder { get; } = Path.Combine(RunningAgentFlow.Solution, "AgentFlow.Web");

    [Fact]
    public void Every_text_that_is_asked_for_stands_in_the_resources()
    {
        var known = XDocument.Load(Path.Combine(Folder, "Resources", "Texts.resx")).Descendants("data").Select(text => (string)text.Attribute("name")!).ToHashSet(StringComparer.Ordinal);

        var asked = Sources("*.razor").Concat(Directory.EnumerateFiles(Folder, "*.cs", SearchOption.AllDirectories))
            .SelectMany(file => Asked().Matches(File.ReadAllText(file)).Select(match => Regex.Unescape(match.Groups[1].Value)))
            .ToHashSet(StringComparer.Ordinal);

        Assert.True(asked.Count > 200, $"{asked.Count}");
        Assert.Empty(asked.Except(known, StringComparer.Ordinal));
    }

    [Fact]
    public void No_page_has_words_of_its_own()
    {
        var literal = Sources("*.razor").SelectMany(file => Words(File.ReadAllText(file)).Select(words => $"{Path.GetFileName(file)}: {words}"));

        Assert.Empty(literal);
    }

    private static IEnumerable<string> Words(string source)
    {
        var markup = Comment().Replace(source, "").Split("\n@code")[0];
        var texts = BetweenTags().Matches(markup).Select(match => match.Groups[1].Value.Trim()).Where(text => !Code().IsMatch(text));
        var attributes = Attribute().Matches(markup).Select(match => match.Groups[1].Value);
        return texts.Concat(attributes).Where(text => Letters().IsMatch(text) && !Untranslated.Contains(text));
    }

    private static IEnumerable<string> Sources(string pattern) => Directory.EnumerateFiles(Path.Combine(Folder, "Components"), pattern, SearchOption.AllDirectories);

    [GeneratedRegex("""(?:\b(?:L|texts)\[|\bSay\()"((?:[^"\\]|\\.)*)["]""")]
    private static partial Regex Asked();

    [GeneratedRegex(@"@\*.*?\*@", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex(">([^<>@{}]*)<")]
    private static partial Regex BetweenTags();

    [GeneratedRegex("[=;()]")]
    private static partial Regex Code();

    [GeneratedRegex("""\b(?:aria-label|title|placeholder|Title|Text|Action)="([A-Z][^"@]*)["]""")]
    private static partial Regex Attribute();

    [GeneratedRegex("[A-Za-z]{2}")]
    private static partial Regex Letters();
}
