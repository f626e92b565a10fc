namespace AgentFlow.ServiceDefaults.Hosting;

/// <summary>
/// <c>dotnet AgentFlow.ApiService.dll health</c>: asks the service that runs beside it whether it serves. For health checks inside images,
/// which have neither a shell nor curl.
/// </summary>
internal static class HealthVerb
{
    private const string Verb = "health";
    private const string DefaultAddress = "http://localhost:8080";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <param name="commandLine">The program first, as the runtime gives it.</param>
    public static bool IsAskedFor(IReadOnlyList<string> commandLine) => commandLine.Count == 2 && commandLine[1] == Verb;

    /// <returns>0 when the service answers 200 within 4 s, 1 otherwise.</returns>
    public static async Task<int> RunAsync(CancellationToken ct)
    {
        using var http = new HttpClient { Timeout = Patience };
        try
        {
            using var answer = await http.GetAsync(AddressOf(Environment.GetEnvironmentVariable("ASPNETCORE_URLS")), ct);
            return answer.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException)
        {
            return 1;
        }
    }

    /// <summary>Example: <c>http://+:8080;https://+:8443</c>; a wildcard host is this machine.</summary>
    internal static Uri AddressOf(string? urls)
    {
        var first = string.IsNullOrWhiteSpace(urls) ? DefaultAddress : urls.Split(';')[0];
        return new Uri(new Uri(first.Replace("://+", "://localhost", StringComparison.Ordinal).Replace("://*", "://localhost", StringComparison.Ordinal).Replace("://0.0.0.0", "://localhost", StringComparison.Ordinal)), "/health");
    }
}
