using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;

namespace AgentFlow.Tests.Support;

/// <summary>AgentFlow's Web as an operator runs it: a process of its own, in production, before an API of the test's. Ends with this process.</summary>
internal sealed partial class WebProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly ConcurrentQueue<string> lines = new();

    private WebProcess(Uri address, ProcessStartInfo start)
    {
        Address = address;
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public Uri Address { get; }

    /// <summary>All that it has written to its output, line by line.</summary>
    public IReadOnlyCollection<string> Output => lines;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <param name="api">Where its API is, or what it takes for one.</param>
    /// <param name="settings">Configuration keys, over the keys of the test's hosts.</param>
    public static async Task<WebProcess> StartAsync(Uri api, params (string Key, string Value)[] settings)
    {
        var address = new Uri($"http://127.0.0.1:{LoopbackPort.Take()}");
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "AgentFlow.Web"))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = AppContext.BaseDirectory,
        };
        foreach (var (key, value) in ((string Key, string Value)[])[
            ("ASPNETCORE_ENVIRONMENT", "Production"), ("DOTNET_ENVIRONMENT", "Production"), ("ASPNETCORE_URLS", address.ToString()), ("AGENTFLOW_PARENT_PIPE", "1"), ("Auth:Keys", ApiHost.Keys),
            ("services:api:http:0", api.GetLeftPart(UriPartial.Authority)), ("Logging:LogLevel:Default", "Warning"), .. settings])
            start.Environment[key.Replace(":", "__", StringComparison.Ordinal)] = value;
        var web = new WebProcess(address, start);
        using var client = web.Client();
        await Patience.UntilAsync(() => web.IsServingAsync(client), "the Web's start");
        return web;
    }

    /// <summary>A client that keeps nothing and follows nothing.</summary>
    /// <param name="https">Says, as a proxy in front would, that the browser came by https.</param>
    /// <param name="host">The name that the browser asked for.</param>
    public HttpClient Client(bool https = false, string? host = null)
    {
        var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false }) { BaseAddress = Address };
        if (https)
            client.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");
        client.DefaultRequestHeaders.Host = host;
        return client;
    }

    /// <summary>The hidden fields of a page's form, as a browser would send them with the others.</summary>
    public static Dictionary<string, string> HiddenFields(string html) => Hidden().Matches(html)
        .ToDictionary(input => input.Groups["name"].Value, input => WebUtility.HtmlDecode(input.Groups["value"].Value), StringComparer.Ordinal);

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            process.StandardInput.Close();
            using var limit = new CancellationTokenSource(Patience.Limit);
            await process.WaitForExitAsync(limit.Token);
        }

        process.Dispose();
    }

    private async Task<bool> IsServingAsync(HttpClient client)
    {
        Assert.False(process.HasExited, string.Join('\n', lines));
        try
        {
            using var response = await client.GetAsync("/health", Ct);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private void Keep(string? line)
    {
        if (line is not null)
            lines.Enqueue(line);
    }

    [GeneratedRegex("""<input type="hidden" name="(?<name>[^"]+)" value="(?<value>[^"]*)"\s*/?>""", RegexOptions.ExplicitCapture)]
    private static partial Regex Hidden();
}
