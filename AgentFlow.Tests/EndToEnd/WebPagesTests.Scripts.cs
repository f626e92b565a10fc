using System.Text.RegularExpressions;
using AgentFlow.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>What the page's own scripts do: read back, take folders, heal, and stay quiet for who listens.</summary>
public sealed partial class WebPagesTests
{
    /// <summary>
    /// Bytes that belong to no call, as SignalR's MessagePack frame of <c>ReceiveByteArray(5, [0])</c>: the server ends the circuit, as after any fault
    /// that nothing catches.
    /// </summary>
    private const string FailCircuit = """
        () => {
          window.isOld = true;
          const text = new TextEncoder().encode("ReceiveByteArray");
          const body = [0x96, 1, 0x80, 0xc0, 0xa0 | text.length, ...text, 0x92, 5, 0xc4, 1, 0, 0x90];
          window.sockets.filter(socket => socket.readyState === 1).at(-1).send(new Uint8Array([body.length, ...body]));
        }
        """;

    private const string KeepSockets = """
        window.sockets = [];
        window.WebSocket = class extends WebSocket { constructor(...all) { super(...all); window.sockets.push(this); } };
        """;

    /// <summary>A Blazor that finds no server for very long, in a page where no time passes.</summary>
    private const string NoServer = """
        () => {
          const pass = window.setTimeout;
          window.seen = []; window.waits = [];
          window.setTimeout = (then, ms) => { window.waits.push(ms); queueMicrotask(then); };
          window.Blazor = {
            start: options => { window.handler = options.circuit.reconnectionHandler; },
            reconnect: async () => {
              window.seen.push(document.getElementById("components-reconnect-modal").className);
              if (window.seen.length <= 1000) throw new Error("no server");
              window.setTimeout = pass;
              return true;
            },
          };
        }
        """;

    /// <summary>As a file that went away, or that the browser may not read.</summary>
    private const string Unreadable = """
        () => {
            const slice = File.prototype.slice;
            File.prototype.slice = function (...range) { return this.name === "unreadable.txt" ? { arrayBuffer: () => Promise.reject(new Error("gone")) } : slice.apply(this, range); };
        }
        """;

    /// <summary>What is in regions that a screen reader speaks when they change, each time that it has changed.</summary>
    private const string Listen = """
        () => {
          window.said = [];
          new MutationObserver(records => {
            for (const { target } of records) {
              const region = (target instanceof Element ? target : target.parentElement)?.closest("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]");
              const text = region?.textContent.trim();
              if (text && window.said.at(-1) !== text) window.said.push(text);
            }
          }).observe(document, { childList: true, subtree: true, characterData: true });
        }
        """;

    [Fact]
    public async Task A_long_conversation_is_read_back_to_its_first_question()
    {
        const int Questions = 45;
        await site.StartAsync();
        var conversation = await site.AskManyAsync("How long does a queen live", Questions);
        var (page, chat) = await site.SignInAsync();
        await page.VisitAsync("/c/" + conversation);
        await Expect(chat.LastAnswer).ToBeVisibleAsync();

        // As often as it takes: what comes at the top may push the reader down.
        await Patience.UntilAsync(
            async () =>
            {
                await page.Locator("#messages").EvaluateAsync("box => box.scrollTop = 0");
                return await chat.Answers.CountAsync();
            },
            count => count == Questions,
            "the first answer is shown");
        Assert.Equal(
            Enumerable.Range(1, Questions).Select(number => $"How long does a queen live ({number})"),
            await page.GetByTestId("message-user").Locator(".bubble").AllTextContentsAsync());
        await Expect(page.Locator("#earlier")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task A_conversation_goes_on_with_its_agent_and_without_it_when_it_is_gone()
    {
        await site.StartAsync();
        await site.AddAgentAsync("second", "The second");
        var (page, chat) = await site.SignInAsync();
        var picker = page.GetByTestId("agent");
        await chat.NewConversationAsync();
        await Expect(picker).ToHaveValueAsync("default");
        await picker.SelectOptionAsync("second");
        await chat.AskAsync(Question);
        await page.WaitForURLAsync("**/c/*");
        var conversation = page.Url;

        await chat.NewConversationAsync();
        await Expect(picker).ToHaveValueAsync("default");
        await page.VisitAsync(conversation);
        await Expect(picker).ToHaveValueAsync("second");
        await chat.AskAsync(Question);
        await chat.LastAnswer.Locator(".link-button").ClickAsync();
        await Expect(page.Locator(".timeline .facts")).ToContainTextAsync("Agentsecond");

        await site.DeleteAgentAsync("second");
        await page.VisitAsync(conversation);
        await chat.AskAsync(Question);
    }

    [Fact]
    public async Task A_page_whose_circuit_failed_is_loaded_anew_by_itself_with_what_was_typed()
    {
        await site.StartAsync();
        var page = await site.Browser.OpenAsync(site.Web);
        await page.AddInitScriptAsync(KeepSockets);
        await new ChatPageDriver(page).SignInAsync();
        await page.VisitAsync("/");
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        await page.GetByTestId("composer").FillAsync("How long does a queen live");

        await page.EvaluateAsync(FailCircuit);

        await page.WaitForFunctionAsync("() => window.isOld !== true && sessionStorage.getItem('renewals') !== null");
        await page.ListensAsync();
        await Expect(page.GetByTestId("composer")).ToHaveValueAsync("How long does a queen live");
        Assert.Equal(1, await page.EvaluateAsync<int>("() => JSON.parse(sessionStorage.getItem('renewals')).length"));
        await page.GetByTestId("send").ClickAsync();
        await Expect(page.GetByTestId("message-assistant")).ToHaveAttributeAsync("data-status", "completed");
    }

    [Fact]
    public async Task A_server_that_stays_away_is_said_to_and_found_again_however_long_it_takes()
    {
        await site.StartAsync();
        var page = await site.Browser.OpenAsync(site.Web);
        await page.SetContentAsync("<div id='components-reconnect-modal' class='reconnect'></div>");
        await page.EvaluateAsync(NoServer);
        await page.AddScriptTagAsync(new() { Path = Path.Combine(RunningAgentFlow.Solution, "AgentFlow.Web", "wwwroot", "start.js") });

        await page.EvaluateAsync("() => window.handler.onConnectionDown()");

        await page.WaitForFunctionAsync("() => window.seen.length > 1000 && document.getElementById('components-reconnect-modal').className === 'reconnect'");
        var seen = await page.EvaluateAsync<string[]>("() => window.seen");
        Assert.Equal(1001, seen.Length);
        Assert.Equal(["reconnect components-reconnect-show"], seen.Take(30).Distinct());
        Assert.Equal(["reconnect components-reconnect-failed"], seen.Skip(30).Distinct());
        var waits = await page.EvaluateAsync<double[]>("() => window.waits");
        Assert.Equal((300, 15_000), (waits[0], waits.Max()));
        Assert.Equal(waits.Order(), waits);
    }

    [Fact]
    public async Task Folders_are_chosen_or_dropped_whole_and_their_files_keep_their_paths()
    {
        await site.StartAsync();
        var (page, _) = await site.SignInAsync();
        await page.VisitAsync("/documents");
        await Expect(page.GetByTestId("folder-upload")).ToBeEnabledAsync();

        await page.GetByTestId("folder-upload").SetInputFilesAsync(
            site.Folder("apiary", ("hive/queen-of-rosa.txt", "Rosa's queen is marked red."), ("worker-of-rosa.txt", "Rosa's workers fly at noon."), (".git/config", "none"), ("hive/.DS_Store", "none")));
        await UploadedAsync(page, "of-rosa.txt", 2);
        await Expect(page.GetByTestId("upload-rest")).ToHaveTextAsync("2 hidden files were left out");

        var folder = site.Folder("meadow", ("clover/white-of-rosa.md", "White clover feeds Rosa's bees."), ("clover/red/red-of-rosa.md", "Red clover feeds Rosa's bumblebees."));
        await DropAsync(page, folder);
        await UploadedAsync(page, "of-rosa.md", 2);

        foreach (var (path, name) in new[] { ("apiary/hive/queen-of-rosa.txt", "queen-of-rosa.txt"), ("apiary/worker-of-rosa.txt", "worker-of-rosa.txt"), ("meadow/clover/red/red-of-rosa.md", "red-of-rosa.md") })
            Assert.Equal([name], await site.FoundAsync("Rosa", "path", path));

        await page.EvaluateAsync(Unreadable);
        await DropAsync(page, site.Folder("forest", ("firs-of-ida.txt", "Ida's firs."), ("unreadable.txt", "Ida's elms."), ("oaks-of-ida.txt", "Ida's oaks.")));
        await UploadedAsync(page, "of-ida.txt", 2);
        await Expect(page.Locator(".upload.bad")).ToContainTextAsync("This file can not be read.");
    }

    [Fact]
    public async Task Of_a_folder_with_too_many_files_the_first_are_taken_and_the_rest_is_told()
    {
        await site.StartAsync();
        var (page, _) = await site.SignInAsync();
        await page.VisitAsync("/documents");
        await Expect(page.GetByTestId("folder-upload")).ToBeEnabledAsync();
        await page.EvaluateAsync("() => document.documentElement.dataset.mostFiles = 2");

        await DropAsync(page, site.Folder("orchard", ("apples-of-eva.txt", "Eva's apples."), ("pears-of-eva.txt", "Eva's pears."), ("plums-of-eva.txt", "Eva's plums.")));

        await UploadedAsync(page, "of-eva.txt", 2);
        await Expect(page.GetByTestId("upload-rest")).ToHaveTextAsync("Only the first 2 files were taken. Upload the others in another go.");
    }

    [Fact]
    public async Task A_streamed_answer_is_announced_once_and_not_word_by_word()
    {
        await site.StartAsync();
        await site.AddDocumentAsync("bees-to-hear.txt", Bees);
        var (page, chat) = await site.SignInAsync();
        await page.VisitAsync("/");
        await page.EvaluateAsync(Listen);

        await BeginAsync(chat);
        var heard = await AccessibilityTree.LiveTextsAsync(page, "honey bee", "queen lives", "dance:");

        // Where the answer ended while the tree was read, what was said is judged by the list of it below.
        if (await chat.LastAnswer.GetAttributeAsync("data-status") != "completed")
            Assert.Empty(heard);
        await Expect(chat.LastAnswer).ToHaveAttributeAsync("data-status", "completed");
        await Expect(page.Locator(".thread > [role=status]")).ToHaveTextAsync(Announced());

        var answer = Letters(await chat.LastAnswer.Locator(".prose").InnerTextAsync());
        var said = await page.EvaluateAsync<string[]>("() => window.said");
        Assert.Single(said, text => text == "The answer is being written.");
        var announced = Assert.Single(said, text => text.StartsWith("Answer:", StringComparison.Ordinal));
        Assert.Equal("Answer " + answer, Letters(announced));
        Assert.DoesNotContain(said, text => text != announced && text.Contains(answer.Split(' ')[0], StringComparison.Ordinal) && Letters(text).Contains(string.Join(' ', answer.Split(' ').Take(3)), StringComparison.Ordinal));
    }

    private static async Task UploadedAsync(IPage page, string name, int count)
    {
        var rows = page.GetByTestId("document-row").Filter(new() { HasText = name });
        await Expect(rows).ToHaveCountAsync(count);
        await Expect(rows.GetByTestId("document-status").Filter(new() { HasTextRegex = Ready() })).ToHaveCountAsync(count);
        await Expect(rows.First).ToContainTextAsync("1 passage");
    }

    /// <summary>What a file manager drops, which a script can not make.</summary>
    private static async Task DropAsync(IPage page, string folder)
    {
        var session = await page.Context.NewCDPSessionAsync(page);
        foreach (var type in new[] { "dragEnter", "dragOver", "drop" })
        {
            await session.SendAsync("Input.dispatchDragEvent", new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["type"] = type, ["x"] = 640, ["y"] = 400,
                ["data"] = new Dictionary<string, object>(StringComparer.Ordinal) { ["items"] = Array.Empty<object>(), ["files"] = new[] { folder }, ["dragOperationsMask"] = 1 },
            });
        }
    }

    [GeneratedRegex("^Answer:")]
    private static partial Regex Announced();
}
