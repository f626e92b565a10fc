// The Aspire form of the composition (built with UseAspire=true); Local/ holds the form that needs no container engine.
using AgentFlow.AppHost;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

var builder = DistributedApplication.CreateBuilder(args);
var publishing = builder.ExecutionContext.IsPublishMode;

// Letters and digits only, a multiple of four long: valid base64 as the key ring wants it.
var signingKey = builder.AddParameter("signing-key", new GenerateParameterDefault { MinLength = 64, Special = false }, secret: true, persist: true);
var setupToken = builder.AddParameter("setup-token", new GenerateParameterDefault { MinLength = 24, Special = false }, secret: true, persist: true);

// Containers with volumes while developing. In publish mode, and wherever a connection string is configured, connection strings
// instead: a Postgres volume fails on Container Apps' file shares, and without a container engine a container would block the rest.
IResourceBuilder<IResourceWithConnectionString> apiDatabase, memoryDatabase;
if (publishing || Configured(ResourceNames.ApiDatabase))
{
    apiDatabase = builder.AddConnectionString(ResourceNames.ApiDatabase);
    memoryDatabase = builder.AddConnectionString(ResourceNames.MemoryDatabase);
}
else
{
    var postgres = builder.AddPostgres(ResourceNames.Postgres).WithDataVolume("agentflow-postgres").WithLifetime(ContainerLifetime.Persistent);
    apiDatabase = postgres.AddDatabase(ResourceNames.ApiDatabase, ResourceNames.ApiDatabaseName);
    memoryDatabase = postgres.AddDatabase(ResourceNames.MemoryDatabase, ResourceNames.MemoryDatabaseName);
}

Func<IResourceBuilder<ProjectResource>, IResourceBuilder<ProjectResource>> withQdrant;
if (publishing || Configured(ResourceNames.Qdrant))
{
    var grpc = builder.AddConnectionString(ResourceNames.Qdrant);
    var http = builder.AddConnectionString(ResourceNames.QdrantHttp);
    withQdrant = project => project.WithReference(grpc).WithReference(http);
}
else
{
    var qdrant = builder.AddQdrant(ResourceNames.Qdrant).WithDataVolume("agentflow-qdrant").WithLifetime(ContainerLifetime.Persistent);
    withQdrant = project => project.WithReference(qdrant).WaitFor(qdrant);
}

var memory = withQdrant(Service(builder.AddProject<Projects.AgentFlow_MemoryService>(ResourceNames.Memory)))
    .WithReference(memoryDatabase).WaitFor(memoryDatabase);

var api = withQdrant(Service(builder.AddProject<Projects.AgentFlow_ApiService>(ResourceNames.Api)))
    .WithEnvironment(ResourceNames.Keys.SetupToken, setupToken)
    .WithReference(apiDatabase).WaitFor(apiDatabase)
    .WithReference(memory).WaitFor(memory);

Service(builder.AddProject<Projects.AgentFlow_Web>(ResourceNames.Web))
    .WithReference(api).WaitFor(api)
    .WithExternalHttpEndpoints();

foreach (var name in ResourceNames.OptionalSettings.Where(name => builder.Configuration[name] is { Length: > 0 }))
{
    var parameter = builder.AddParameter(name.ToLowerInvariant().Replace('_', '-'), builder.Configuration[name]!, secret: true);
    api.WithEnvironment(name, parameter);
    memory.WithEnvironment(name, parameter);
}

builder.Build().Run();

bool Configured(string name) => builder.Configuration["ConnectionStrings:" + name] is { Length: > 0 };

// Published, an ingress stands before every service and leads to it by name: rebinding a name to its address gets nobody there.
IResourceBuilder<ProjectResource> Service(IResourceBuilder<ProjectResource> project) => (publishing ? project.WithEnvironment("AllowedHosts", "*") : project)
    .WithEnvironment(ResourceNames.Keys.SigningKeys, ReferenceExpression.Create($"k1:{signingKey}"))
    .WithEnvironment(ResourceNames.Keys.CaptureMessageContent, "false")
    .WithHttpHealthCheck(ResourceNames.ReadyPath);
