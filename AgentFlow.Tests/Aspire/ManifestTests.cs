using System.Diagnostics;
using System.Text.Json;
using AgentFlow.AppHost;
using AgentFlow.Tests.AppHost;
using AgentFlow.Tests.Architecture;

namespace AgentFlow.Tests.Aspire;

/// <summary>What the Aspire form would deploy, compared with the one file of names. Compiled only with <c>UseAspire=true</c>; needs no containers.</summary>
public sealed class ManifestTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_manifest_names_what_the_services_read()
    {
        var resources = await PublishAsync();
        Assert.All([ResourceNames.Memory, ResourceNames.Api, ResourceNames.Web], name => Assert.Equal("project.v0", resources.GetProperty(name).GetProperty("type").GetString()));

        // Connection strings in the place of containers: a volume of PostgreSQL fails on file shares.
        Assert.All(
            [ResourceNames.ApiDatabase, ResourceNames.MemoryDatabase, ResourceNames.Qdrant, ResourceNames.QdrantHttp],
            name => Assert.Equal("parameter.v0", resources.GetProperty(name).GetProperty("type").GetString()));
        Assert.DoesNotContain(resources.EnumerateObject(), resource => resource.Value.GetProperty("type").GetString()!.StartsWith("container", StringComparison.Ordinal));

        Holds(resources, ResourceNames.Memory, ResourceNames.Keys.MemoryConnection, ResourceNames.Keys.QdrantConnection, ResourceNames.Keys.QdrantHttpConnection, ResourceNames.Keys.SigningKeys);
        Holds(resources, ResourceNames.Api, ResourceNames.Keys.ApiConnection, ResourceNames.Keys.MemoryAddress, ResourceNames.Keys.SetupToken, ResourceNames.Keys.SigningKeys);
        Holds(resources, ResourceNames.Web, ResourceNames.Keys.ApiAddress, ResourceNames.Keys.SigningKeys);
        var external = resources.EnumerateObject().Where(resource => resource.Value.TryGetProperty("bindings", out var bindings)
            && bindings.EnumerateObject().Any(binding => binding.Value.TryGetProperty("external", out var isExternal) && isExternal.GetBoolean()));
        Assert.Equal([ResourceNames.Web], external.Select(resource => resource.Name));
    }

    private static void Holds(JsonElement resources, string name, params string[] keys)
    {
        var environment = resources.GetProperty(name).GetProperty("env").EnumerateObject().Select(variable => variable.Name).ToHashSet(StringComparer.Ordinal);
        Assert.Empty(keys.Except(environment));
    }

    private async Task<JsonElement> PublishAsync()
    {
        var project = Path.Combine(SourceTreeTests.Root, "AgentFlow.AppHost");
        using var process = Process.Start(new ProcessStartInfo(
            "dotnet", ["run", "--no-build", "--project", project, "-p:UseAspire=true", "--", "--publisher", "manifest", "--output-path", _folder["manifest.json"]]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var said = await process.StandardOutput.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        Assert.True(process.ExitCode == 0, said);
        await using var file = File.OpenRead(_folder["manifest.json"]);
        return (await JsonSerializer.DeserializeAsync<JsonElement>(file, cancellationToken: Ct)).GetProperty("resources");
    }
}
