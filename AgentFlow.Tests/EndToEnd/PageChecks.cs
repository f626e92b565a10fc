using System.Text.Json;
using Microsoft.Playwright;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>What is looked at on every page: axe's findings and the width, and pictures for people.</summary>
internal static class PageChecks
{
    /// <summary>The one rule whose outcome a theme changes.</summary>
    private const string Contrast = "{ runOnly: ['color-contrast'] }";

    private static string Axe { get; } = Path.Combine(RunningAgentFlow.Solution, "AgentFlow.Tests", "Clients", "node_modules", "axe-core", "axe.min.js");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Two sizes in two themes. All of axe where a layout is seen first, its contrasts alone in the other theme: nothing else is other there.</summary>
    public static async Task<List<string>> CheckAsync(IPage page, string name)
    {
        var findings = new List<string>();
        await page.EvaluateAsync(await File.ReadAllTextAsync(Axe, Ct));

        findings.AddRange((await AccessibilityTree.NamelessAsync(page)).Select(each => $"{name}: {each}"));

        // Nothing moves, so that no colour is looked at half-way.
        await page.EmulateMediaAsync(new() { ReducedMotion = ReducedMotion.Reduce });
        foreach (var (width, height) in new[] { (1280, 800), (360, 740) })
        {
            await page.SetViewportSizeAsync(width, height);
            foreach (var (theme, rules) in width > 600 ? new[] { ("dark", Contrast), ("light", "{}") } : [("light", Contrast), ("dark", "{}")])
            {
                await page.EvaluateAsync("theme => { document.documentElement.dataset.theme = theme; }", theme);
                if (rules is "{}")
                    await Browser.PictureAsync(page, $"pages/{name.Trim('/').Replace('/', '-').Replace('#', '-')}-{width}-{theme}");
                var json = await page.EvaluateAsync<string>(
                    $"async () => JSON.stringify((await axe.run(document, {{ resultTypes: ['violations'], ...{rules} }})).violations.map(each => [each.impact, each.id, each.nodes.map(node => node.html).slice(0, 3)]))");
                findings.AddRange(JsonElement.Parse(json).EnumerateArray()
                    .Where(each => each[0].GetString() is "serious" or "critical")
                    .Select(each => $"{name} {width} {theme}: {each[0]} {each[1]} {each[2]}"));
            }

            if (!await page.EvaluateAsync<bool>("() => document.documentElement.scrollWidth <= innerWidth"))
                findings.Add($"{name} is wider than {width} pixels.");
        }

        if (Browser.TakesPictures)
            await PictureAsync(page, name);
        await page.SetViewportSizeAsync(1280, 800);
        return findings;
    }

    /// <summary>A part that may scroll sideways on a phone has no need to at a width.</summary>
    public static async Task<List<string>> FitsAsync(IPage page, string name, int width, string part)
    {
        await page.SetViewportSizeAsync(width, 1024);
        var needs = await page.Locator(part).First.EvaluateAsync<int>("part => part.scrollWidth - part.clientWidth");
        await page.SetViewportSizeAsync(1280, 800);
        return needs <= 0 ? [] : [$"{name}: {part} is {needs} pixels too wide at {width}."];
    }

    /// <summary>The other sizes, for people to look at: axe found what there is at the two above.</summary>
    private static async Task PictureAsync(IPage page, string name)
    {
        foreach (var (width, height) in new[] { (768, 1024), (1440, 900) })
        {
            await page.SetViewportSizeAsync(width, height);
            foreach (var theme in new[] { "light", "dark" })
            {
                await page.EvaluateAsync("theme => { document.documentElement.dataset.theme = theme; }", theme);
                await Browser.PictureAsync(page, $"pages/{name.Trim('/').Replace('/', '-').Replace('#', '-')}-{width}-{theme}");
            }
        }
    }
}
