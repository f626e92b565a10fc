using System.Text.RegularExpressions;
using System.Xml.Linq;
using AgentFlow.Tests.EndToEnd;
using AgentFlow.Web.Resources;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Localization;

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

    /// <summary>Found in the sources of all services, so that a new refusal can not be forgotten; a text that no code needs is found as well.</summary>
    [Fact]
    public void Every_refusal_has_a_text()
    {
        var known = XDocument.Load(Path.Combine(Folder, "Resources", "Texts.resx")).Descendants("data").Select(text => (string)text.Attribute("name")!)
            .Where(name => name.StartsWith(ProblemTexts.Prefix, StringComparison.Ordinal)).Select(name => name[ProblemTexts.Prefix.Length..]).ToHashSet(StringComparer.Ordinal);

        var used = new[] { "ApiService", "MemoryService", "ServiceDefaults", "Web" }
            .SelectMany(project => Directory.EnumerateFiles(Path.Combine(RunningAgentFlow.Solution, "AgentFlow." + project), "*.cs", SearchOption.AllDirectories))
            .SelectMany(file => Codes(file, File.ReadAllText(file))).ToHashSet(StringComparer.Ordinal);

        Assert.True(used.Count > 90, $"{used.Count}");
        Assert.Empty(used.Except(known, StringComparer.Ordinal));
        Assert.Empty(known.Except(used, StringComparer.Ordinal).Where(code => !code.StartsWith("http_", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_refusal_is_said_in_the_words_of_its_code_and_else_in_the_API_s()
    {
        using var services = new ServiceCollection().AddLogging().AddLocalization().BuildServiceProvider();
        var texts = services.GetRequiredService<IStringLocalizer<Texts>>();

        Assert.Equal("This conversation is being answered already. Wait, or stop that answer.", texts.Explain("run_active", "Send whileRunning enqueue."));
        Assert.Equal("a.exe is of a type {1} that is not supported.", texts.Explain("unsupported_file_type", "a.exe is of a type {1} that is not supported."));
        Assert.Equal("Of a newer API.", texts.Explain("not_known_here", "Of a newer API."));
    }

    /// <summary>Sentences begin with what failed; in the sources of what fails, so that a new one can not be forgotten.</summary>
    [Fact]
    public void Every_reason_of_a_failed_document_or_task_has_a_text()
    {
        using var services = new ServiceCollection().AddLogging().AddLocalization().BuildServiceProvider();
        var texts = services.GetRequiredService<IStringLocalizer<Texts>>();
        var known = XDocument.Load(Path.Combine(Folder, "Resources", "Texts.resx")).Descendants("data").Select(text => (string)text.Attribute("name")!)
            .Where(name => name.StartsWith(ReasonTexts.Prefix, StringComparison.Ordinal)).Select(name => name[ReasonTexts.Prefix.Length..]).ToHashSet(StringComparer.Ordinal);

        var said = Directory.EnumerateFiles(Path.Combine(RunningAgentFlow.Solution, "AgentFlow.ApiService", "Documents"), "*.cs", SearchOption.AllDirectories)
            .SelectMany(file => Reasons().Matches(File.ReadAllText(file)).Select(reason => reason.Groups[1].Value)).Select(Template).ToHashSet(StringComparer.Ordinal);
        said.UnionWith(ReasonsOfTasks().Matches(File.ReadAllText(Path.Combine(RunningAgentFlow.Solution, "AgentFlow.ServiceDefaults", "Queue", "TaskReasons.cs"))).Select(reason => Template(reason.Groups[1].Value)));

        Assert.Contains("{0} It is tried again (attempt {1} of {2}).", said);
        Assert.True(said.Count > 25, $"{said.Count}");
        Assert.Empty(said.Except(known, StringComparer.Ordinal));
        Assert.All(known, name => Assert.Equal(name.Replace("{0}", "1,000", StringComparison.Ordinal), texts.Reason(name.Replace("{0}", "1,000", StringComparison.Ordinal))));
        Assert.Equal("It could not be processed: Of a newer API.", texts.Reason("It could not be processed: Of a newer API."));
        Assert.Equal("Of a newer API {0}.", texts.Reason("Of a newer API {0}."));
    }

    /// <summary><c>has more than {MaxSlides:N0} slides</c> as the resources have it.</summary>
    private static string Template(string literal)
    {
        var holes = 0;
        return Hole().Replace(literal, _ => "{" + holes++ + "}");
    }

    /// <summary>A status with its code; what the end of a run says; and the files that give their codes names.</summary>
    private static IEnumerable<string> Codes(string file, string source)
    {
        var (named, prefix) = Path.GetFileName(file) switch
        {
            "ModelErrors.cs" => (NamedByArm(), ""),
            "RunErrors.cs" => (NamedByConstant(), ""),
            "Tool.cs" => (NamedByConstant(), "tool "),
            _ => (OfRuns(), ""),
        };
        return WithStatus().Matches(source).Select(code => code.Groups[1].Value).Concat(named.Matches(source).Select(code => prefix + code.Groups[1].Value));
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

    [GeneratedRegex("""(?:Status\d{3}\w+|\b[045]\d?\d?|\bstatus|StatusCode)\s*,\s*"([a-z][a-z_0-9]*[a-z0-9])["]\s*,""")]
    private static partial Regex WithStatus();

    [GeneratedRegex("""RunFailedException\(\s*"([a-z_]+)["]""")]
    private static partial Regex OfRuns();

    [GeneratedRegex("""=> \("([a-z_]+)["]""")]
    private static partial Regex NamedByArm();

    [GeneratedRegex("""const string \w+ = "([A-Za-z_]+)["]""")]
    private static partial Regex NamedByConstant();

    [GeneratedRegex("""["']((?:It|Its|One of its|PDF files) [^"'\r\n]*[.)])["']""")]
    private static partial Regex Reasons();

    [GeneratedRegex("""=> \$?"([A-Z{][^"\r\n]*[.)])["]""")]
    private static partial Regex ReasonsOfTasks();

    [GeneratedRegex(@"\{[^{}]*\}")]
    private static partial Regex Hole();

    [GeneratedRegex("[A-Za-z]{2}")]
    private static partial Regex Letters();
}
