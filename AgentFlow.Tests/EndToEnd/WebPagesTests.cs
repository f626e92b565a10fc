using System.Text.Json;
using System.Text.RegularExpressions;
using AgentFlow.AppHost.Local;
using AgentFlow.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// The front end in a real browser: every page opens and is accessible, the keyboard is enough, and no interruption loses a word. Figures are
/// measured by <see cref="WebFigures"/>.
/// </summary>
public sealed partial class WebPagesTests(WebSite site) : IClassFixture<WebSite>, IAsyncDisposable
{
    /// <summary>Bytes to the browser for one streamed word.</summary>
    private const int WireGoal = 2_000;

    /// <summary>A longer way with the keyboard is a fault of the page.</summary>
    private const int MostTabs = 80;

    private const string Bees = "A honey bee worker lives about six weeks in summer and several months in winter.\n"
        + "The queen lives for three to five years and lays up to two thousand eggs on a busy day. "
        + "Bees tell each other where food is with a dance: its angle gives the direction and its length the distance.";

    private const string Question = "How do bees tell each other where food is, how long does the queen live and how long does a worker live in summer?";

    /// <summary>What is opened, and what shows that it is there. Further steps are in <see cref="PrepareAsync"/>.</summary>
    private static readonly (string Path, string Ready)[] Pages =
    [
        ("/", "[data-testid=composer]:enabled"),
        ("/documents", "[data-testid=document-row]"),
        ("/documents#reader", ".document-text"),
        ("/documents#sharing", "[data-testid=share]"),
        ("/memories", "[data-testid=memory-search]"),
        ("/memories#open", "[data-testid=memory-history] li"),
        ("/memories#review", ".empty"),
        ("/memories#data", "[data-testid=memory-erase]"),
        ("/agents", "[data-testid=agent-card]"),
        ("/agents/default", "[data-testid=tool-policy]"),
        ("/tasks", "[data-testid=task-row]"),
        ("/rooms", "[data-testid=room-row]"),
        ("/admin", "[data-testid=chart-number]"),
        ("/admin/accounts", "[data-testid=account-row]"),
        ("/admin/audit", "[data-testid=audit-row]"),
        ("/admin/configuration", "td"),
        ("/settings", "[data-testid=session-row]"),
        ("/settings#close", "[role=alertdialog]"),
        ("/#shortcuts", "dialog[open]"),
        ("/nothing-here", "h1"),
    ];

    /// <summary>Of one test alone.</summary>
    private Browser? _own;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await site.EndTestAsync();
        if (_own is not null)
            await _own.DisposeAsync();
    }

    [Fact]
    public async Task Every_page_opens_and_has_no_serious_finding_of_axe()
    {
        await site.StartAsync();
        await site.AddDocumentAsync("bees.txt", Bees);

        // Its own, since what pages of other tests complain about while their network is cut is no fault.
        var browser = _own = await Browser.StartAsync();
        var (page, chat) = await site.SignInAsync(browser: browser);
        await chat.AskAsync(Question);
        await chat.LastAnswer.GetByTestId("citation-chip").First.ClickAsync();
        await Expect(page.Locator("#passage")).Not.ToBeEmptyAsync();
        var findings = await PageChecks.CheckAsync(page, "chat");
        await page.Keyboard.PressAsync("Escape");
        await chat.LastAnswer.Locator(".actions .link-button").ClickAsync();
        await page.Locator(".timeline summary").First.ClickAsync();
        findings.AddRange(await PageChecks.CheckAsync(page, "timeline"));
        await page.VisitAsync("/tasks");
        await page.GetByTestId("task-question").FillAsync("How long does the queen live?");
        await page.GetByTestId("task-start").ClickAsync();
        await Expect(page.GetByTestId("task-row").First).ToBeVisibleAsync();
        await OpenRoomAsync(page, "Beekeepers");
        findings.AddRange(await PageChecks.CheckAsync(page, "room"));
        foreach (var (path, ready) in Pages)
        {
            await page.VisitAsync(path.Split('#')[0]);
            await PrepareAsync(page, path);
            await Expect(page.Locator(ready).First).ToBeVisibleAsync();
            findings.AddRange(await PageChecks.CheckAsync(page, path));
            if (path is "/admin/accounts")
                findings.AddRange(await PageChecks.FitsAsync(page, path, 768, ".table-scroll"));
        }

        var stranger = await browser.OpenAsync(site.Web);
        foreach (var path in new[] { "/sign-in", "/sign-up" })
        {
            await stranger.VisitAsync(path);
            findings.AddRange(await PageChecks.CheckAsync(stranger, path));
        }

        Assert.True(findings.Count == 0, string.Join('\n', findings));
        Assert.DoesNotContain(browser.Complaints, complaint => !complaint.Contains("404", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_keyboard_alone_signs_up_uploads_asks_and_opens_the_source()
    {
        await site.StartAsync();
        var page = await InvitedAsync();
        await TabToAsync(page, "[data-testid=display-name]");
        await page.Keyboard.TypeAsync("Grace");
        await TabToAsync(page, "[data-testid=email]");
        await page.Keyboard.TypeAsync("grace@example.org");
        await TabToAsync(page, "[data-testid=password]");
        await page.Keyboard.TypeAsync(ChatPageDriver.Password);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();

        await TabToAsync(page, "a[href='/documents']");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("document-upload")).ToBeEnabledAsync();
        await page.WaitForFunctionAsync("() => document.activeElement?.tagName === 'H1'");
        await TabToAsync(page, "[data-testid=document-upload]");
        var chooser = await page.RunAndWaitForFileChooserAsync(() => page.Keyboard.PressAsync("Space"));
        await chooser.SetFilesAsync(site.File("bees-of-grace.txt", Bees));
        await Expect(page.GetByTestId("document-status")).ToHaveTextAsync(Ready());

        await TabToAsync(page, "a[href='/']");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        await TabToAsync(page, "[data-testid=composer]");
        await page.Keyboard.TypeAsync("How long does the queen live?");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("message-assistant")).ToHaveAttributeAsync("data-status", "completed");
        await Expect(page.GetByTestId("message-assistant")).ToContainTextAsync("three to five years");
        await TabToAsync(page, "[data-testid=citation-chip]");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#passage")).ToContainTextAsync("three to five years");
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Locator("#passage")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task No_interruption_loses_a_word_and_a_word_is_cheap()
    {
        await site.StartAsync();
        await site.AddDocumentAsync("bees-again.txt", Bees);
        await using var network = new CuttableNetwork(site.Web);
        var (page, chat) = await site.SignInAsync(network.Address);
        var received = 0L;
        page.WebSocket += (_, socket) => socket.FrameReceived += (_, frame) => Interlocked.Add(ref received, frame.Binary?.Length ?? frame.Text?.Length ?? 0);
        await page.VisitAsync("/");

        // All that is sent for a question counts, and the words are counted after the bytes.
        var bytesBefore = Interlocked.Read(ref received);
        var answers = await BeginAsync(chat);
        await Expect(chat.LastAnswer.Locator(".prose")).ToHaveTextAsync(FifteenWords());
        var (bytes, words) = (Interlocked.Read(ref received) - bytesBefore, await WordsAsync(chat));
        Assert.True(bytes / words < WireGoal, $"{bytes} bytes for {words} words");
        TestContext.Current.TestOutputHelper?.WriteLine($"{bytes} bytes for a question and {words} words");
        await page.ReloadAsync();
        await page.ListensAsync();
        await EndsAsStoredAsync(page, chat, answers, "reload");

        answers = await BeginAsync(chat);
        network.Cut();
        await Expect(page.Locator("#components-reconnect-modal")).ToHaveClassAsync(Shown());
        await page.GetByTestId("composer").FillAsync(Question);
        await page.Keyboard.PressAsync("Enter");
        network.Mend();
        await Expect(page.Locator("#components-reconnect-modal")).Not.ToHaveClassAsync(Shown());
        await EndsAsStoredAsync(page, chat, answers, "network cut");

        // What was typed without a network is still there, and asked when it can be.
        await Expect(page.GetByTestId("composer")).ToHaveValueAsync(Question);
        await page.GetByTestId("send").ClickAsync();
        await Expect(chat.Answers).ToHaveCountAsync(++answers);
        await Expect(chat.LastAnswer.Locator(".prose")).ToHaveTextAsync(FiveWords());
        await page.EvaluateAsync("() => { window.isOld = true; }");
        Native.Signal(site.AgentFlow.ServiceProcess("AgentFlow.Web"), Native.SigKill);
        await page.WaitForFunctionAsync("() => window.isOld !== true");
        await page.ListensAsync();
        await EndsAsStoredAsync(page, chat, answers, "Web killed");

        answers = await BeginAsync(chat);
        Native.Signal(site.AgentFlow.ServiceProcess("AgentFlow.ApiService"), Native.SigKill);
        await EndsAsStoredAsync(page, chat, answers, "API killed");
    }

    [Fact]
    public async Task Two_people_and_the_agent_talk_in_a_room()
    {
        await site.StartAsync();
        await site.AddDocumentAsync("bees-of-the-room.txt", Bees);
        var (owner, _) = await site.SignInAsync();
        var guest = await SignUpAsync("Linus");

        await OpenRoomAsync(owner, "Apiary");
        await owner.GetByTestId("members").ClickAsync();
        await owner.GetByTestId("room-invite").FillAsync("linus@example.org");
        await owner.GetByTestId("room-invite-send").ClickAsync();
        await Expect(owner.GetByTestId("room-member")).ToHaveCountAsync(2);
        await guest.VisitAsync("/rooms");
        await guest.GetByTestId("room-row").Filter(new() { HasText = "Apiary" }).ClickAsync();
        await Expect(guest.GetByTestId("composer")).ToBeEnabledAsync();
        await Expect(owner.GetByTestId("presence")).ToContainTextAsync("2");

        await guest.GetByTestId("ask-agent").UncheckAsync();
        await guest.GetByTestId("composer").FillAsync("Good morning to all of you.");
        await guest.GetByTestId("send").ClickAsync();
        await Expect(owner.GetByTestId("room-message")).ToContainTextAsync("Good morning to all of you.");
        await Expect(owner.GetByTestId("room-message")).ToContainTextAsync("Linus");

        await owner.GetByTestId("composer").FillAsync(Question);
        await owner.GetByTestId("send").ClickAsync();
        foreach (var page in new[] { owner, guest })
        {
            await Expect(page.GetByTestId("room-message")).ToHaveCountAsync(2);
            await Expect(page.GetByTestId("message-assistant")).ToHaveAttributeAsync("data-status", "completed");
        }

        Assert.Equal(
            Letters(await owner.GetByTestId("message-assistant").Locator(".prose").InnerTextAsync()),
            Letters(await guest.GetByTestId("message-assistant").Locator(".prose").InnerTextAsync()));

        await owner.GetByTestId("room-member").Locator("select").SelectOptionAsync("Viewer");
        await Expect(guest.GetByTestId("composer")).ToHaveCountAsync(0);
        await owner.GetByTestId("room-remove").ClickAsync();
        await Expect(owner.GetByTestId("room-member")).ToHaveCountAsync(1);
        await Expect(guest.GetByTestId("room-over")).ToBeVisibleAsync();
        await FillTogetherAsync(owner, guest, "Hives of two", "linus@example.org");
    }

    [Fact]
    public async Task Collections_memories_and_the_account_are_worked_with_in_the_browser()
    {
        await site.StartAsync();
        var page = await SignUpAsync("Mary");
        await FillCollectionAsync(page, "Apiculture", site.File("bees-of-mary.txt", Bees));

        await page.GetByTestId("document-row").Locator(".row-main").ClickAsync();
        await page.Locator(".document-text").SelectTextAsync();
        await page.GetByTestId("ask-pill").ClickAsync();
        await Expect(page.Locator(".composer .quote")).ToContainTextAsync("in winter. The queen lives");
        await page.GetByTestId("composer").FillAsync("How long does she live?");
        await page.GetByTestId("send").ClickAsync();
        await Expect(page.GetByTestId("message-assistant")).ToHaveAttributeAsync("data-status", "completed");
        await Expect(page.Locator(".composer .quote")).ToHaveCountAsync(0);
        await page.ReloadAsync();
        await Expect(page.GetByTestId("message-quote")).ToContainTextAsync("in winter. The queen lives");
        await page.GetByLabel("Ask again", new() { Exact = true }).ClickAsync();
        await Expect(page.GetByTestId("message-assistant").Locator(".versions")).ToHaveTextAsync(new Regex("2 / 2"));
        await Expect(page.GetByTestId("message-quote")).ToHaveCountAsync(1);

        await page.VisitAsync("/agents");
        await page.GetByTestId("new-agent").ClickAsync();
        await page.GetByTestId("agent-slug").FillAsync("apiarist");
        await page.GetByTestId("agent-instructions").FillAsync("Answer as somebody who keeps bees.");
        await page.GetByTestId("agent-collection").CheckAsync();
        await page.GetByTestId("agent-save").ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/agents/apiarist$"));
        await page.ReloadAsync();
        await Expect(page.GetByTestId("agent-collection")).ToBeCheckedAsync();

        await page.VisitAsync("/memories");
        await RememberAsync(page, "Mary keeps twelve hives in Devon.");
        await page.GetByTestId("memory-edit").ClickAsync();
        await page.Locator("form.edit textarea").FillAsync("Mary keeps thirteen hives in Devon.");
        await page.Locator("form.edit .primary").ClickAsync();
        await Expect(page.GetByTestId("memory-row")).ToContainTextAsync("thirteen");
        await page.GetByTestId("memory-row").Locator(".row-main").ClickAsync();
        await Expect(page.GetByTestId("memory-history")).ToContainTextAsync("twelve");

        await page.VisitAsync("/settings");
        await Expect(page.GetByTestId("session-row")).ToBeVisibleAsync();
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByTestId("account-export").ClickAsync());
        var export = JsonElement.Parse(await File.ReadAllTextAsync(await download.PathAsync(), Ct));
        Assert.Contains("thirteen hives", export.GetProperty("memories").ToString(), StringComparison.Ordinal);
        Assert.Contains("How long does she live?", export.GetProperty("tables").ToString(), StringComparison.Ordinal);

        await page.GetByTestId("account-erase").ClickAsync();
        await page.GetByTestId("account-password").FillAsync(ChatPageDriver.Password);
        await page.GetByTestId("confirm").ClickAsync();
        await Expect(page.GetByTestId("account-receipt")).ToContainTextAsync("Your account is closed.");
        await Expect(page.GetByTestId("sign-in")).ToBeVisibleAsync();
        await Patience.UntilAsync(
            async () =>
            {
                await page.ReloadAsync();
                return await page.GetByTestId("account-receipt").GetAttributeAsync("data-status");
            },
            status => status is "succeeded",
            "the account is erased");
        await page.GotoAsync("/documents");
        await Expect(page).ToHaveURLAsync(new Regex("/sign-in"));
    }

    /// <summary>The page of somebody who was invited, at the form.</summary>
    private async Task<IPage> InvitedAsync()
    {
        var page = await site.Browser.OpenAsync(site.Web);
        await page.VisitAsync("/sign-up?invite=" + Uri.EscapeDataString(await site.InviteAsync()));
        return page;
    }

    private async Task<IPage> SignUpAsync(string name)
    {
        var page = await InvitedAsync();
        await page.GetByTestId("display-name").FillAsync(name);
        await page.GetByTestId("email").FillAsync(name + "@example.org");
        await page.GetByTestId("password").FillAsync(ChatPageDriver.Password);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        return page;
    }

    /// <summary>A new collection, shown, with one file in it that is ready.</summary>
    private static async Task FillCollectionAsync(IPage page, string name, string file)
    {
        await page.VisitAsync("/documents");
        await MakeCollectionAsync(page, name);
        await page.GetByTestId("document-upload").SetInputFilesAsync(file);
        await Expect(page.GetByTestId("document-status")).ToHaveTextAsync(Ready());
        await Expect(page.GetByTestId("collection").Locator(".num")).ToHaveTextAsync("1");
    }

    /// <summary>The guest may write to the owner's collection: uploads into it, which the owner sees, and takes the document out.</summary>
    private async Task FillTogetherAsync(IPage owner, IPage guest, string name, string guestEmail)
    {
        await owner.GotoAsync("/documents");
        await MakeCollectionAsync(owner, name);
        await owner.GetByTestId("sharing").ClickAsync();
        await owner.GetByTestId("share-with").FillAsync(guestEmail);
        await owner.Locator("aside select").SelectOptionAsync("Write");
        await owner.GetByTestId("share").ClickAsync();
        await Expect(owner.GetByTestId("member")).ToContainTextAsync("Linus");

        await guest.GotoAsync("/documents");
        await guest.GetByTestId("collection").Filter(new() { HasText = name }).ClickAsync();
        await Expect(guest.GetByTestId("collection").Filter(new() { HasText = name })).ToHaveAttributeAsync("aria-pressed", "true");
        await Expect(guest.GetByTestId("document-upload")).ToBeEnabledAsync();
        await guest.GetByTestId("document-upload").SetInputFilesAsync(site.File("smoke.txt", "Smoke calms the bees of two keepers."));
        await Expect(guest.GetByTestId("document-status")).ToHaveTextAsync(Ready());

        await owner.ReloadAsync();
        await owner.GetByTestId("collection").Filter(new() { HasText = name }).ClickAsync();
        await Expect(owner.GetByTestId("document-row")).ToHaveCountAsync(1);
        await Expect(owner.GetByTestId("document-row")).ToContainTextAsync("Linus");
        await guest.GetByTestId("take-out").ClickAsync();
        await Expect(guest.GetByTestId("document-row")).ToHaveCountAsync(0);
    }

    private static async Task MakeCollectionAsync(IPage page, string name)
    {
        await Expect(page.GetByTestId("document-upload")).ToBeEnabledAsync();
        await page.GetByTestId("new-collection").ClickAsync();
        await page.GetByTestId("collection-name").FillAsync(name);
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByTestId("collection").Filter(new() { HasText = name })).ToHaveAttributeAsync("aria-pressed", "true");
    }

    private static async Task RememberAsync(IPage page, string text)
    {
        await Expect(page.GetByTestId("memory-add")).ToBeEnabledAsync();
        await page.GetByTestId("memory-text").FillAsync(text);
        await page.GetByTestId("memory-add").ClickAsync();
        await Expect(page.GetByTestId("memory-row").Filter(new() { HasText = text })).ToBeVisibleAsync();
    }

    private static async Task OpenRoomAsync(IPage page, string name)
    {
        await page.VisitAsync("/rooms");
        await Expect(page.GetByTestId("room-create")).ToBeEnabledAsync();
        await page.GetByTestId("room-name").FillAsync(name);
        await page.GetByTestId("room-create").ClickAsync();
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
    }

    private static async Task PrepareAsync(IPage page, string path)
    {
        switch (path)
        {
            case "/documents#reader":
                await page.GetByTestId("document-row").First.Locator(".row-main").ClickAsync();
                break;
            case "/documents#sharing":
                await MakeCollectionAsync(page, "Hives and honey");
                await page.GetByTestId("sharing").ClickAsync();
                break;
            case "/memories#open":
                await RememberAsync(page, "Ada prefers answers of one sentence.");
                await page.GetByTestId("memory-row").First.Locator(".row-main").ClickAsync();
                break;
            case "/memories#review" or "/memories#data":
                // Enabled once the circuit is there; a click before would be lost.
                await Expect(page.GetByTestId("memory-add")).ToBeEnabledAsync();
                await page.GetByTestId("tab-" + path.Split('#')[1]).ClickAsync();
                break;
            case "/settings#close":
                await Expect(page.GetByTestId("session-row").First).ToBeVisibleAsync();
                await page.GetByTestId("account-erase").ClickAsync();
                break;
            case "/#shortcuts":
                await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
                await page.Locator("h1").ClickAsync();
                await page.Keyboard.PressAsync("?");
                break;
        }
    }

    private static async Task TabToAsync(IPage page, string selector)
    {
        await page.Locator(selector).First.WaitForAsync(new() { State = WaitForSelectorState.Attached });
        for (var i = 0; i < MostTabs; i++)
        {
            if (await page.EvaluateAsync<bool>("selector => document.activeElement?.matches(selector) ?? false", selector))
                return;
            await page.Keyboard.PressAsync("Tab");
        }

        Assert.Fail($"{selector} was not reached with the keyboard.");
    }

    /// <summary>A question whose answer has begun to appear and goes on.</summary>
    /// <returns>How many answers the page shows, this one included.</returns>
    private static async Task<int> BeginAsync(ChatPageDriver chat)
    {
        await chat.SendAsync(Question);
        await Expect(chat.LastAnswer.Locator(".prose")).ToHaveTextAsync(FiveWords());
        return await chat.Answers.CountAsync();
    }

    private static async Task<int> WordsAsync(ChatPageDriver chat) => (await chat.LastAnswer.Locator(".prose").InnerTextAsync()).Split(' ').Length;

    /// <summary>The page comes to an end by itself, and shows exactly what is stored.</summary>
    /// <param name="answers">How many there are: a page that was loaded anew has all before the one that goes on.</param>
    private async Task EndsAsStoredAsync(IPage page, ChatPageDriver chat, int answers, string what)
    {
        await Expect(chat.Answers.Nth(answers - 1)).ToHaveAttributeAsync("data-status", Ended());
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        await Patience.UntilAsync(
            async () => (Shown: Letters(await chat.LastAnswer.Locator(".prose").InnerTextAsync()), Stored: Letters(await site.StoredAnswerAsync(page.Url.Split('/')[^1]))),
            both => both.Shown == both.Stored && both.Stored.Length > 20,
            $"{what}: what is shown is what is stored");
    }

    /// <summary>Words alone: markers of sources are numbers in brackets in one place and buttons in the other.</summary>
    internal static string Letters(string text) => NoLetters().Replace(text, " ").Trim();

    [GeneratedRegex("^Ready$")]
    private static partial Regex Ready();

    [GeneratedRegex("completed|interrupted")]
    private static partial Regex Ended();

    [GeneratedRegex("components-reconnect-show")]
    private static partial Regex Shown();

    [GeneratedRegex(@"\P{L}+")]
    private static partial Regex NoLetters();

    [GeneratedRegex(@"(\S+\s+){5}")]
    private static partial Regex FiveWords();

    [GeneratedRegex(@"(\S+\s+){15}")]
    private static partial Regex FifteenWords();
}
