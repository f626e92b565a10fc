using System.Text.RegularExpressions;
using AgentFlow.AppHost.Local;
using AgentFlow.Tests.AppHost;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>From an empty state folder to a conversation that survives restarts and crashes, in a real browser.</summary>
[Collection(EndToEndCollection.Name)]
public sealed partial class ChatScenarioTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private Browser _browser = null!;

    public async ValueTask InitializeAsync() => _browser = await Browser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_person_signs_up_asks_is_remembered_and_loses_nothing()
    {
        await using (var agentFlow = await RunningAgentFlow.StartAsync(_folder["state"]))
        {
            var page = await _browser.OpenAsync(agentFlow.Web);
            var chat = new ChatPageDriver(page);
            await chat.SignUpAsync(agentFlow.Web, agentFlow.SetupToken!);
            await chat.UploadAsync(Documents());
            await AskAboutDocumentsAsync(page, chat);
            await Browser.PictureAsync(page, "chat");
            if (Browser.TakesPictures)
                await TakePicturesAsync(page);
            await BeRememberedAsync(chat);
            Assert.Empty(_browser.Complaints);
            Assert.Equal(0, await agentFlow.TerminateAsync());
            Assert.DoesNotContain(agentFlow.Lines, line => line.Contains("did not stop", StringComparison.Ordinal));
        }

        var slowly = new Dictionary<string, string>(StringComparer.Ordinal) { ["Models__Extractive__WordsPerSecond"] = "2" };
        await using var again = await RunningAgentFlow.StartAsync(_folder["state"], slowly);
        Assert.Null(again.SetupToken);
        var nextPage = await _browser.OpenAsync(again.Web);
        var nextChat = new ChatPageDriver(nextPage);
        await nextChat.SignInAsync();
        await FindEverythingAgainAsync(nextPage);
        await LoseTheApiInMidAnswerAsync(again, nextPage, nextChat);
    }

    private string[] Documents()
    {
        var documents = new[] { ("/usr/share/common-licenses/GPL-3", "GPL-3.txt"), ("/usr/share/common-licenses/Apache-2.0", "Apache-2.0.txt"), (Path.Combine(RunningAgentFlow.Solution, "docs", "decisions", "0003-notifications-are-hints.md"), "decision.md") };
        foreach (var (source, name) in documents)
            File.Copy(source, _folder[name]);
        return [.. documents.Select(each => _folder[each.Item2])];
    }

    /// <summary>Three questions, each answered from its own document, each citation opening exactly the passage that it quotes.</summary>
    private async Task AskAboutDocumentsAsync(IPage page, ChatPageDriver chat)
    {
        await chat.NewConversationAsync();
        await Expect(page.GetByTestId("offline-badge")).ToBeVisibleAsync();
        foreach (var (question, inAnswer, document) in new[]
        {
            ("For how many years must the written offer of the Corresponding Source be valid?", "three years", "GPL-3.txt"),
            ("What happens to patent licenses when someone institutes patent litigation?", "terminate", "Apache-2.0.txt"),
            ("What does NOTIFY do to commits?", "serializes", "decision.md"),
        })
        {
            var answer = await chat.AskAsync(question);
            Assert.Contains(inAnswer, Flat(answer), StringComparison.OrdinalIgnoreCase);
            var chip = chat.LastAnswer.GetByTestId("citation-chip").And(page.Locator($"[aria-label*='{document}']")).First;
            var quote = Flat(await chip.GetAttributeAsync("title") ?? "").TrimEnd('…');
            Assert.NotEmpty(quote);
            await chip.ClickAsync();
            await Expect(page.Locator("#passage")).ToContainTextAsync(quote);
            var passage = Flat(await page.Locator("#passage").InnerTextAsync());
            Assert.StartsWith(quote, passage, StringComparison.Ordinal);
            Assert.Contains(passage, Flat(await File.ReadAllTextAsync(_folder[document], TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        }
    }

    /// <summary>The same conversation at night and on a phone, and what an administrator sees.</summary>
    private static async Task TakePicturesAsync(IPage page)
    {
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark, ReducedMotion = ReducedMotion.Reduce });
        await Browser.PictureAsync(page, "chat-dark");
        await page.Keyboard.PressAsync("Escape");
        await page.SetViewportSizeAsync(390, 844);
        await Browser.PictureAsync(page, "chat-phone");
        await page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light, ReducedMotion = ReducedMotion.NoPreference });
        await page.SetViewportSizeAsync(1280, 800);
        await page.VisitAsync("/admin");
        await Expect(page.GetByTestId("chart-number").First).ToBeVisibleAsync();
        await Browser.PictureAsync(page, "admin");
    }

    private static async Task BeRememberedAsync(ChatPageDriver chat)
    {
        await chat.NewConversationAsync();
        await chat.AskAsync("I prefer green tea over coffee.");
        await chat.NewConversationAsync();
        Assert.Contains("green tea", await chat.AskAsync("What do I prefer to drink, tea or coffee?"), StringComparison.OrdinalIgnoreCase);
    }

    private static async Task FindEverythingAgainAsync(IPage page)
    {
        await page.VisitAsync("/documents");
        await Expect(page.GetByTestId("document-row")).ToHaveCountAsync(3);
        await page.VisitAsync("/memories");
        await Expect(page.GetByTestId("memory-row").Filter(new LocatorFilterOptions { HasText = "green tea" })).Not.ToHaveCountAsync(0);
        await page.VisitAsync("/");
        await page.GetByText("For how many years").First.ClickAsync();
        await Expect(page.GetByTestId("message-assistant")).ToHaveCountAsync(3);
        await Expect(page.GetByTestId("message-assistant").First).ToContainTextAsync("three years");

        // The history keeps no recall: it comes from the run's log.
        await page.GetByTestId("message-assistant").First.Locator(".actions .link-button").ClickAsync();
        await Expect(page.Locator(".timeline")).ToContainTextAsync("Recalled");
    }

    /// <summary>The service dies while its answer streams: the page says so, keeps what it showed, and shows the same after a reload.</summary>
    private static async Task LoseTheApiInMidAnswerAsync(RunningAgentFlow agentFlow, IPage page, ChatPageDriver chat)
    {
        await chat.NewConversationAsync();
        await chat.SendAsync("What happens to patent licenses when someone institutes patent litigation?");
        var prose = chat.LastAnswer.Locator(".prose");
        await Expect(prose).ToHaveTextAsync(FiveWords());
        var shown = Flat(await prose.InnerTextAsync());
        Native.Signal(agentFlow.ServiceProcess("AgentFlow.ApiService"), Native.SigKill);

        // A page that is opened meanwhile becomes whole without anybody doing anything.
        var other = await page.Context.NewPageAsync();
        await other.VisitAsync("/documents");
        await Expect(other.GetByTestId("document-row")).ToHaveCountAsync(3);
        await Expect(chat.Notices).ToBeVisibleAsync();
        await Expect(chat.LastAnswer).ToHaveAttributeAsync("data-status", "interrupted");
        Assert.StartsWith(shown, Flat(await prose.InnerTextAsync()), StringComparison.Ordinal);
        await page.ReloadAsync();
        await Expect(chat.Notices).ToBeVisibleAsync();
        Assert.StartsWith(shown, Flat(await prose.InnerTextAsync()), StringComparison.Ordinal);
    }

    /// <summary>Line breaks differ between a file, a page and a quotation.</summary>
    private static string Flat(string text) => Whitespace().Replace(text, " ").Trim();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();

    [GeneratedRegex(@"(\S+\s+){5}")]
    private static partial Regex FiveWords();
}
