using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>
/// Neo4j's HTTP query API as far as the mirror uses it: understands its statements by their parameters, runs no Cypher. It shows that the
/// right statements arrive in the right order; that Neo4j accepts them was not tested.
/// </summary>
internal sealed class Neo4jStandIn : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Lock _changing = new();
    private readonly List<(string Memory, string Entity, string Name)> _names = [];

    private Neo4jStandIn(WebApplication app) => _app = app;

    public Uri Address { get; private set; } = null!;

    public string? Path { get; private set; }

    public string? Authorization { get; private set; }

    public bool IsDown { get; set; }

    /// <summary>An entity's name once for each memory that names it.</summary>
    public IReadOnlyList<string> Names
    {
        get
        {
            lock (_changing)
                return [.. _names.Select(name => name.Name)];
        }
    }

    public static async Task<Neo4jStandIn> StartAsync()
    {
        var builder = WebApplication.CreateBuilder(["--urls", "http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        var standIn = new Neo4jStandIn(builder.Build());
        standIn._app.Run(standIn.AnswerAsync);
        await standIn._app.StartAsync();
        standIn.Address = new Uri(standIn._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return standIn;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        if (IsDown || context.Request.ContentLength is null)
        {
            context.Response.StatusCode = IsDown ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status411LengthRequired;
            return;
        }

        using var body = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        lock (_changing)
        {
            (Path, Authorization) = (context.Request.Path, context.Request.Headers.Authorization);
            Apply(body.RootElement.GetProperty("parameters"));
        }

        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await context.Response.WriteAsync("""{"data":{"fields":[],"values":[]},"bookmarks":["b1"]}""", context.RequestAborted);
    }

    private void Apply(JsonElement parameters)
    {
        if (parameters.TryGetProperty("ids", out var ids))
        {
            var gone = ids.EnumerateArray().Select(id => id.GetString()).ToHashSet();
            _names.RemoveAll(name => gone.Contains(name.Memory));
        }

        if (!parameters.TryGetProperty("names", out var names))
            return;
        foreach (var row in names.EnumerateArray())
        {
            var name = (Text(row, "memoryId"), Text(row, "entityId"), Text(row, "name"));
            if (!_names.Contains(name))
                _names.Add(name);
        }
    }

    private static string Text(JsonElement row, string name) => row.GetProperty(name).GetString()!;
}
