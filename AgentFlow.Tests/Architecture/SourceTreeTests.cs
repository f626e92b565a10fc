using System.Text.RegularExpressions;

namespace AgentFlow.Tests.Architecture;

/// <summary>What keeps the tree readable: sizes, folder borders, and words that must not be in it.</summary>
public sealed partial class SourceTreeTests
{
    private const int MaxLines = 500;

    internal static readonly string Root = FindRoot();

    private static readonly string[] Projects =
        ["AppHost", "ServiceDefaults", "Contracts", "Retrieval", "ApiService", "MemoryService", "Web", "Tests", "Benchmarks"];

    [Fact]
    public void No_source_file_is_longer_than_500_lines() =>
        Assert.Empty(Sources().Where(file => File.ReadLines(file).Count() > MaxLines).Select(Relative));

    [Fact]
    public void No_folder_is_named_after_a_layer() =>
        Assert.DoesNotContain(Sources().Select(Relative), file => LayerFolder().IsMatch(file));

    [Fact]
    public void Program_files_have_less_than_60_lines_beside_their_usings() =>
        Assert.Empty(Sources().Where(file => Path.GetFileName(file) == "Program.cs" && !file.Contains("Benchmarks", StringComparison.Ordinal)
            && File.ReadLines(file).Count(line => !line.StartsWith("using ", StringComparison.Ordinal)) >= 60).Select(Relative));

    [Fact]
    public void Data_flows_one_way_inside_the_api()
    {
        // What a folder of the API must not name: data flows from endpoints over runs and agents to models, tools and stores.
        var borders = new Dictionary<string, string[]>(StringComparer.Ordinal)
        {
            ["Models"] = ["Runs", "Chat", "Rooms", "Sockets", "Tools"],
            ["Documents"] = ["Runs", "Chat", "Agents", "Models", "Tools", "Rooms", "Sockets"],
            ["OutputFilter"] = ["Runs", "Chat", "Agents", "Models", "Tools", "Documents"],
            ["Identity"] = ["Runs", "Chat", "Agents", "Models", "Tools", "Documents"],
        };
        var crossed = from border in borders
                      from file in Sources().Where(file => Relative(file).StartsWith($"AgentFlow.ApiService/{border.Key}/", StringComparison.Ordinal))
                      let text = File.ReadAllText(file)
                      from forbidden in border.Value
                      where Regex.IsMatch(text, $@"^using AgentFlow\.ApiService\.{forbidden}\b", RegexOptions.Multiline, TimeSpan.FromSeconds(1))
                      select $"{Relative(file)} uses {forbidden}";
        Assert.Empty(crossed);
    }

    [Fact]
    public void Projects_reference_only_what_the_map_allows()
    {
        var allowed = new Dictionary<string, string[]>(StringComparer.Ordinal)
        {
            ["Contracts"] = [],
            ["ServiceDefaults"] = ["Contracts"],
            ["Retrieval"] = ["Contracts", "ServiceDefaults"],
            ["Web"] = ["Contracts", "ServiceDefaults"],
            ["MemoryService"] = ["Contracts", "ServiceDefaults", "Retrieval"],
            ["ApiService"] = ["Contracts", "ServiceDefaults", "Retrieval"],
        };
        foreach (var (project, references) in allowed)
        {
            var text = File.ReadAllText(Path.Combine(Root, $"AgentFlow.{project}", $"AgentFlow.{project}.csproj"));
            var found = ProjectReference().Matches(text).Select(match => match.Groups["name"].Value).Except(references, StringComparer.Ordinal);
            Assert.True(!found.Any(), $"AgentFlow.{project} references {string.Join(", ", found)}");
        }
    }

    [Fact]
    public void Nothing_waits_synchronously_or_throws_not_implemented()
    {
        var smells = from file in Sources().Where(file => !Relative(file).StartsWith("AgentFlow.Tests", StringComparison.Ordinal))
                     let match = Smell().Match(File.ReadAllText(file))
                     where match.Success
                     select $"{Relative(file)}: {match.Value}";
        Assert.Empty(smells);
    }

    [Fact]
    public void Every_fixed_place_of_the_map_exists()
    {
        var map = File.ReadAllText(Path.Combine(Root, "ARCHITECTURE.md"));
        var missing = MapPath().Matches(map).Select(match => match.Groups["path"].Value)
            .Where(path => !File.Exists(Path.Combine(Root, path)) && !Directory.Exists(Path.Combine(Root, path)));
        Assert.Empty(missing);
    }

    internal static IEnumerable<string> Sources() => Projects
        .Select(project => Path.Combine(Root, $"AgentFlow.{project}"))
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*.*", SearchOption.AllDirectories))
        .Where(file => file.EndsWith(".cs", StringComparison.Ordinal) || file.EndsWith(".razor", StringComparison.Ordinal))
        .Where(file => !Relative(file).Contains("/obj/", StringComparison.Ordinal) && !Relative(file).Contains("/bin/", StringComparison.Ordinal)
            && !Relative(file).Contains("/node_modules/", StringComparison.Ordinal));

    private static string Relative(string file) => Path.GetRelativePath(Root, file).Replace('\\', '/');

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run inside the repository.");
        }

        return folder.FullName;
    }

    [GeneratedRegex("/(?:Services|Interfaces|Helpers|Utils|Common|Managers)/", RegexOptions.None, 1000)]
    private static partial Regex LayerFolder();

    [GeneratedRegex(@"\bNotImplementedException\b|\basync void\b|\.GetAwaiter\(\)\.GetResult\(\)|catch \(Exception\)\s*\{\s*\}", RegexOptions.None, 1000)]
    private static partial Regex Smell();

    [GeneratedRegex("ProjectReference Include=\"[^\"]*AgentFlow\\.(?<name>\\w+)\\.csproj", RegexOptions.None, 1000)]
    private static partial Regex ProjectReference();

    [GeneratedRegex(@"`(?<path>(?:AgentFlow\.|docs/|requests/|eng/|deploy/|agents/|\.ci/)[\w./-]+)`", RegexOptions.None, 1000)]
    private static partial Regex MapPath();
}
