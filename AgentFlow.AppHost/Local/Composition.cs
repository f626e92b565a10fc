using System.Globalization;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// Which processes AgentFlow is made of, and what each is told: the local form's counterpart of AppHost.cs. Everything here is
/// decided before anything is started.
/// </summary>
internal sealed class Composition(
    Installation installation, Ports ports, Secrets secrets, PostgresCluster? cluster, QdrantServer? qdrant, Dashboard? dashboard, HealthProbe probe)
{
    /// <summary>Set for the AppHost by whatever started it; meant for it alone.</summary>
    private static readonly string[] NotInherited =
        ["ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS", "ASPNETCORE_HTTPS_PORT", "DOTNET_LAUNCH_PROFILE", "DOTNET_STARTUP_HOOKS", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"];

    public Uri WebAddress => Local(ports.Web);

    public Uri ApiAddress => Local(ports.Api);

    public Uri MemoryAddress => Local(ports.Memory);

    public ProcessSpec? Dashboard => dashboard is null ? null : new ProcessSpec
    {
        Name = ResourceNames.Dashboard,
        Command = dashboard.Command,
        Environment = new Dictionary<string, string?>(StringComparer.Ordinal) { [ResourceNames.Keys.Urls] = null },
        WorkingDirectory = installation.Solution,
        IsHealthy = (_, ct) => probe.IsHealthyAsync(dashboard.Address, ct),
        StopsByPipe = true,
        StopWithin = TimeSpan.FromSeconds(1),
    };

    public ProcessSpec? Postgres => cluster is null ? null : new ProcessSpec
    {
        Name = ResourceNames.Postgres,
        Command = cluster.Command,
        Environment = new Dictionary<string, string?>(StringComparer.Ordinal) { ["LC_ALL"] = "C.UTF-8" },
        WorkingDirectory = "/",
        IsHealthy = (guard, _) => Task.FromResult(cluster.IsReady(guard)),
        StopsByPipe = true,
        StopWithin = TimeSpan.FromSeconds(2),

        // A server that was killed holds its shared memory for about 2 s; recovery of a large log takes longer.
        StartPatience = TimeSpan.FromSeconds(20),
    };

    public ProcessSpec? Qdrant => qdrant is null ? null : new ProcessSpec
    {
        Name = ResourceNames.Qdrant,
        Command = qdrant.Command,
        Environment = qdrant.Environment,
        WorkingDirectory = qdrant.Folder,
        IsHealthy = (_, ct) => probe.IsHealthyAsync(qdrant.Ready, ct),
        StopsByPipe = true,
        StopWithin = TimeSpan.FromSeconds(1),
        StartPatience = TimeSpan.FromSeconds(5),
    };

    public ProcessSpec Memory => Service(ResourceNames.Memory, "AgentFlow.MemoryService", MemoryAddress, TimeSpan.FromSeconds(1.5), new(StringComparer.Ordinal)
    {
        [ResourceNames.Keys.MemoryConnection] = cluster?.ConnectionString(ResourceNames.MemoryDatabaseName),
        [ResourceNames.Keys.QdrantConnection] = qdrant?.GrpcConnection,
        [ResourceNames.Keys.QdrantHttpConnection] = qdrant?.HttpConnection,
    });

    public ProcessSpec Api => Service(ResourceNames.Api, "AgentFlow.ApiService", ApiAddress, TimeSpan.FromSeconds(3), new(StringComparer.Ordinal)
    {
        [ResourceNames.Keys.ApiConnection] = cluster?.ConnectionString(ResourceNames.ApiDatabaseName),
        [ResourceNames.Keys.QdrantConnection] = qdrant?.GrpcConnection,
        [ResourceNames.Keys.QdrantHttpConnection] = qdrant?.HttpConnection,
        [ResourceNames.Keys.MemoryAddress] = Text(MemoryAddress),
        [ResourceNames.Keys.SetupToken] = SetupToken,
    });

    public ProcessSpec Web => Service(ResourceNames.Web, "AgentFlow.Web", WebAddress, TimeSpan.FromSeconds(3), new(StringComparer.Ordinal)
    {
        [ResourceNames.Keys.ApiAddress] = Text(ApiAddress),
    });

    /// <summary>A token of the user's own, from the environment, or the one that this installation generated.</summary>
    public string SetupToken => Configured(ResourceNames.Keys.SetupToken) ?? secrets.SetupToken;

    /// <summary>An address without the slash at its end.</summary>
    public static string Text(Uri address) => address.GetLeftPart(UriPartial.Authority);

    /// <summary>A setting of the AppHost's own environment, unless it is empty.</summary>
    public static string? Configured(string key) => System.Environment.GetEnvironmentVariable(key) is { Length: > 0 } value ? value : null;

    private ProcessSpec Service(string name, string project, Uri address, TimeSpan stopWithin, Dictionary<string, string?> own)
    {
        var environment = NotInherited.ToDictionary(each => each, _ => (string?)null, StringComparer.Ordinal);
        foreach (var (key, value) in own)
        {
            if (value is not null)
                environment[key] = value;
        }

        var mode = Configured(ResourceNames.Keys.Environment) ?? Configured(ResourceNames.Keys.GenericEnvironment) ?? "Development";
        environment[ResourceNames.Keys.Environment] = mode;
        environment[ResourceNames.Keys.GenericEnvironment] = mode;
        environment[ResourceNames.Keys.Urls] = Text(address);
        environment[ResourceNames.Keys.ParentPipe] = "1";
        environment[ResourceNames.Keys.SigningKeys] = Configured(ResourceNames.Keys.SigningKeys) ?? secrets.SigningKeys;
        environment[ResourceNames.Keys.ServiceName] = name;
        if (dashboard is not null)
        {
            environment[ResourceNames.Keys.OtlpEndpoint] = Text(dashboard.OtlpEndpoint);
            environment[ResourceNames.Keys.OtlpProtocol] = "grpc";
        }

        return new ProcessSpec
        {
            Name = name,
            Command = [installation.DotNet, installation.Assembly(project), "--contentRoot", installation.Project(project)],
            Environment = environment,
            WorkingDirectory = installation.Project(project),
            IsHealthy = (_, ct) => probe.IsHealthyAsync(new Uri(address, ResourceNames.HealthPath), ct),
            StopWithin = stopWithin,
        };
    }

    private static Uri Local(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://localhost:{port}"));
}
