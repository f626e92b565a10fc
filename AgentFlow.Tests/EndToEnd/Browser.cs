using Microsoft.Playwright;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>One Chromium, with a profile of its own, that keeps what its pages complain about.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private const string Executable = "/usr/bin/chromium";

    /// <summary>How long a page may take for anything: generous, because a test machine has other work.</summary>
    private const float PatienceMs = 120_000;

    /// <summary>For what is said of a page after a failure.</summary>
    private const float DescriptionMs = 30_000;

    private const int ShownComplaints = 12;

    /// <summary>Root can have no sandbox; the rest keeps the browser from calling strangers.</summary>
    private static readonly string[] Flags =
        ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;

    private Browser(IPlaywright playwright, IBrowser browser)
    {
        _playwright = playwright;
        _browser = browser;
    }

    /// <summary>What pages wrote to their console as errors, and exceptions that nothing caught.</summary>
    public List<string> Complaints { get; } = [];

    public static async Task<Browser> StartAsync()
    {
        var playwright = await Playwright.CreateAsync();
        Assertions.SetDefaultExpectTimeout(PatienceMs);
        return new Browser(playwright, await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = Executable, Args = Flags }));
    }

    /// <summary>A page with cookies of its own.</summary>
    public async Task<IPage> OpenAsync(Uri site, ColorScheme scheme = ColorScheme.Light)
    {
        var context = await _browser.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = site.ToString(),
            ViewportSize = new ViewportSize { Width = 1280, Height = 800 },
            ColorScheme = scheme,
        });
        context.SetDefaultTimeout(PatienceMs);
        var page = await context.NewPageAsync();
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
                Complaints.Add(message.Text);
        };
        page.PageError += (_, error) => Complaints.Add(error);
        return page;
    }

    /// <summary>Whether AGENTFLOW_PICTURES names a folder for pictures.</summary>
    public static bool TakesPictures => Environment.GetEnvironmentVariable("AGENTFLOW_PICTURES") is { Length: > 0 };

    /// <summary>A picture for the documentation, when <see cref="TakesPictures"/>.</summary>
    public static async Task PictureAsync(IPage page, string name)
    {
        if (TakesPictures && Environment.GetEnvironmentVariable("AGENTFLOW_PICTURES") is { } folder)
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(RunningAgentFlow.Solution, folder, name + ".png") });
    }

    /// <summary>
    /// The end of a test: closes its pages, and says after a failure where each was, what it showed to somebody who listens to it, and what it complained
    /// about, with a picture of it in the folder artifacts. To be called while the test is current, as its class is disposed of: a fixture's own end is too late.
    /// </summary>
    /// <param name="services">What the services said, to be told with it.</param>
    public async Task EndTestAsync(string? services = null)
    {
        var pages = _browser.Contexts.SelectMany(context => context.Pages).ToList();
        if (pages.Count > 0 && TestContext.Current is { TestState.Result: TestResult.Failed, TestOutputHelper: { } output })
        {
            output.WriteLine($"The browser's pages: {string.Join(", ", pages.Select(page => page.Url))}\nTheir complaints:\n{string.Join('\n', Complaints.Distinct(StringComparer.Ordinal).TakeLast(ShownComplaints))}");
            if (services is not null)
                output.WriteLine("What the services warned of last:\n" + services);
            foreach (var page in pages)
                output.WriteLine(await DescribeAsync(page));
        }

        foreach (var context in _browser.Contexts.ToArray())
            await context.CloseAsync();
        Complaints.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await EndTestAsync();
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }

    private static async Task<string> DescribeAsync(IPage page)
    {
        try
        {
            var picture = Path.Combine(RunningAgentFlow.Solution, "artifacts", $"failed-{Guid.NewGuid():N}.png");
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = picture, Timeout = DescriptionMs });
            return $"{page.Url} ({picture}) shows:\n{await page.Locator("body").AriaSnapshotAsync(new LocatorAriaSnapshotOptions { Timeout = DescriptionMs })}";
        }
        catch (Exception silent) when (silent is PlaywrightException or TimeoutException)
        {
            return $"{page.Url} can not be described: {silent.Message}";
        }
    }
}

internal static class PageVisits
{
    /// <summary>Opens a page and waits until it listens: what is typed or clicked earlier would be lost.</summary>
    public static async Task VisitAsync(this IPage page, string path)
    {
        await page.GotoAsync(path);
        await page.ListensAsync();
    }

    /// <summary>
    /// A page of ours listens once it can be reached; one without interaction (sign-in, not found) does from the start. The one that is shown while
    /// the API is away is not what was asked for: it loads itself again.
    /// </summary>
    public static Task ListensAsync(this IPage page) => page.Locator(".stage:not([inert]), main.plain > .plain-card:not([role=status])").First.WaitForAsync();
}
