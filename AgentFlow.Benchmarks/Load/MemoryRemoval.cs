using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Benchmarks.Load;

/// <summary>Deletes every memory of one user in one request, as Mem0's clients do, while the user's index is loaded: <c>load memory-delete [memories]</c>.</summary>
internal static class MemoryRemoval
{
    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var count = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : 46_000;
        await using var postgres = await PrivatePostgres.StartAsync();
        var connection = await postgres.CreateDatabaseAsync(ct);
        await using var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0", "--environment", "Production"], builder =>
            builder.Configuration.AddInMemoryCollection(
            [
                KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)connection), KeyValuePair.Create("Logging:LogLevel:Default", (string?)"Warning"),
            ]));
        await app.StartAsync(ct);
        var owner = Guid.CreateVersion7();
        await MemoryScale.FillAsync(connection, [owner, Guid.CreateVersion7()], count, ct);
        var key = await app.Services.GetRequiredService<ApiKeyStore>().CreateAsync(owner, new NewMemoryKey { Name = "removal", Scopes = ["read", "write"] }, ct);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        using var http = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(5) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Secret);
        await MemoryScale.TimesAsync(http, 3, ct);

        var before = Stopwatch.GetTimestamp();
        using var response = await http.DeleteAsync(new Uri("/v1/memories/?user_id=scale", UriKind.Relative), ct);
        var seconds = Stopwatch.GetElapsedTime(before).TotalSeconds;
        response.EnsureSuccessStatusCode();
        var left = await http.GetStringAsync(new Uri("/api/memories?userId=scale&limit=1", UriKind.Relative), ct);
        Console.WriteLine($"{count} memories of one user deleted in {seconds:0.0} s, {count / seconds:0}/s; listed afterwards: {left}");
        await app.StopAsync(CancellationToken.None);
        return left.Contains("\"items\":[]", StringComparison.Ordinal) ? 0 : 1;
    }
}
