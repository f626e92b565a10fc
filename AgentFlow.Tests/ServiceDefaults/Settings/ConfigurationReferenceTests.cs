using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using AgentFlow.Tests.Architecture;

namespace AgentFlow.Tests.ServiceDefaults.Settings;

/// <summary>
/// <c>docs/configuration.md</c> is generated from the options classes: each key with its type, range, default and docstring.
/// <c>AGENTFLOW_UPDATE_DOCS=1</c> writes the table anew.
/// </summary>
public sealed partial class ConfigurationReferenceTests
{
    private const string Marker = "<!-- generated from here on -->\n";

    private static readonly string File = Path.Combine(SourceTreeTests.Root, "docs", "configuration.md");

    [Fact]
    public void The_reference_lists_every_option_as_the_code_has_it()
    {
        var page = System.IO.File.ReadAllText(File).ReplaceLineEndings("\n");
        var written = page[..(page.IndexOf(Marker, StringComparison.Ordinal) + Marker.Length)];
        var expected = written + Render();
        if (Environment.GetEnvironmentVariable("AGENTFLOW_UPDATE_DOCS") == "1")
            System.IO.File.WriteAllText(File, page = expected);
        var (found, wanted) = (Facts(page), Facts(expected));
        Assert.True(
            found.SequenceEqual(wanted, StringComparer.Ordinal),
            $"docs/configuration.md is out of date; run this test with AGENTFLOW_UPDATE_DOCS=1. It lacks:\n{string.Join('\n', wanted.Except(found, StringComparer.Ordinal))}\nand has:\n{string.Join('\n', found.Except(wanted, StringComparer.Ordinal))}");
    }

    /// <summary>Sections, and key, type, range and default of each option; what it means may be said in other words.</summary>
    private static List<string> Facts(string page) => [.. page[(page.IndexOf(Marker, StringComparison.Ordinal) + Marker.Length)..].Split('\n')
        .Select(line => string.Join('|', line.Split('|').Take(5)))];

    [Fact]
    public void Every_options_class_is_registered_with_its_section() =>
        Assert.Empty(OptionCatalog.Declared.Except(OptionCatalog.All.Select(option => option.Root)));

    [Fact]
    public void Keys_that_are_read_without_options_are_listed_too()
    {
        var page = System.IO.File.ReadAllText(File);
        var read = from file in SourceTreeTests.Sources().Where(file => !file.Contains("AgentFlow.Tests", StringComparison.Ordinal) && !file.Contains("AgentFlow.Benchmarks", StringComparison.Ordinal))
                   from Match match in ReadByName().Matches(System.IO.File.ReadAllText(file))
                   select match.Groups["key"].Value;
        Assert.Empty(read.Distinct(StringComparer.Ordinal).Where(key => !page.Contains($"`{key}`", StringComparison.Ordinal)));
    }

    private static string Render()
    {
        var page = new StringBuilder();
        foreach (var section in OptionCatalog.All.GroupBy(option => option.Section, StringComparer.Ordinal))
        {
            page.Append(CultureInfo.InvariantCulture, $"\n## {section.Key}\n\n| key | type | range | default | meaning |\n|---|---|---|---|---|\n");
            foreach (var option in section)
                page.Append(CultureInfo.InvariantCulture, $"| `{option.Key}` | {TypeName(option.ValueType)} | {Range(option)} | {Default(option.Property.GetValue(option.Owner))} | {Meaning(option)} |\n");
        }

        return page.ToString();
    }

    /// <summary>The property's summary, from the source of the class that declares it.</summary>
    private static string Meaning(Option option)
    {
        var type = option.Property.DeclaringType!;
        var source = SourceTreeTests.Sources().Where(file => file.Contains($"/{type.Assembly.GetName().Name}/", StringComparison.Ordinal)).Select(System.IO.File.ReadAllText)
            .Select(text => Regex.Match(text, $@"\bclass {type.Name}\b.*?\n}}", RegexOptions.Singleline, TimeSpan.FromSeconds(5))).First(match => match.Success).Value;
        var doc = PropertyDoc().Matches(source).FirstOrDefault(match => match.Groups["name"].Value == option.Property.Name);
        Assert.True(doc is not null, $"{type.Name}.{option.Property.Name} has no docstring");
        var text = SeeReference().Replace(DocMarks().Replace(doc.Groups["doc"].Value, " "), "`${name}`");
        text = text.Replace("<c>", "`", StringComparison.Ordinal).Replace("</c>", "`", StringComparison.Ordinal);
        text = System.Net.WebUtility.HtmlDecode(Tags().Replace(text, ""));
        return WhiteSpace().Replace(text, " ").Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }

    private static string Range(Option option) => option.ValueType.IsEnum
        ? string.Join(", ", Enum.GetNames(option.ValueType).Select(name => $"`{name}`"))
        : option.Property.GetCustomAttribute<RangeAttribute>() is { } range
            ? range.Maximum is double and > 9e18 ? $"{range.Minimum} or more" : string.Create(CultureInfo.InvariantCulture, $"{range.Minimum} to {range.Maximum}") : "";

    private static string TypeName(Type type) => type switch
    {
        { IsEnum: true } => "one of",
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(TimeSpan) => "d.hh:mm:ss",
        _ when type == typeof(string) => "text",
        _ when type == typeof(int) || type == typeof(long) => "whole number",
        _ => "number",
    };

    private static string Default(object? value) => value switch
    {
        null or ICollection { Count: 0 } or "" => "",
        string text => $"`{text.Replace(AppContext.BaseDirectory, "<program>/", StringComparison.Ordinal)}`",
        bool flag => flag ? "true" : "false",
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    [GeneratedRegex(@"(?<doc>(?:^[ \t]*///[^\n]*\n)+)(?:[ \t]*\[[^\n]*\n)*[ \t]*public (?:required )?[\w<>?\[\], .]+ (?<name>\w+) \{ get;", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex PropertyDoc();

    [GeneratedRegex(@"^[ \t]*///", RegexOptions.Multiline, 1000)]
    private static partial Regex DocMarks();

    [GeneratedRegex("<see cref=\"(?<name>[^\"]+)\"\\s*/>", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SeeReference();

    [GeneratedRegex("</?[a-z]+>", RegexOptions.None, 1000)]
    private static partial Regex Tags();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex WhiteSpace();

    /// <summary>Example: <c>configuration["OPENAI_API_KEY"]</c>; keys of options classes are interpolated and do not match.</summary>
    [GeneratedRegex(@"onfiguration\[""(?<key>[\w:]+)""\]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ReadByName();
}
