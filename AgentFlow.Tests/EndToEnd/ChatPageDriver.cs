using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>What a person does with the Web, by the names that its parts carry for tests (<c>data-testid</c>).</summary>
internal sealed partial class ChatPageDriver(IPage page)
{
    public const string Email = "ada@example.org";
    public const string Password = "correct horse battery";

    public ILocator Answers => page.GetByTestId("message-assistant");

    public ILocator LastAnswer => Answers.Last;

    public ILocator Notices => page.GetByTestId("run-notice");

    public async Task SignUpAsync(Uri web, string setupToken)
    {
        await page.VisitAsync($"{web.GetLeftPart(UriPartial.Authority)}?setup={setupToken}");
        await Expect(page.GetByTestId("setup-token")).ToHaveValueAsync(setupToken);
        await page.GetByTestId("display-name").FillAsync("Ada");
        await page.GetByTestId("email").FillAsync(Email);
        await page.GetByTestId("password").FillAsync(Password);
        await page.GetByTestId("sign-up").ClickAsync();
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
    }

    public async Task SignInAsync()
    {
        await page.VisitAsync("/sign-in");
        await page.GetByTestId("email").FillAsync(Email);
        await page.GetByTestId("password").FillAsync(Password);
        await page.GetByTestId("sign-in").ClickAsync();
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
    }

    /// <summary>Uploads files and waits until each is ready to be asked about.</summary>
    public async Task UploadAsync(params string[] paths)
    {
        await page.VisitAsync("/documents");
        await Expect(page.GetByTestId("document-upload")).ToBeEnabledAsync();
        await page.GetByTestId("document-upload").SetInputFilesAsync(paths);
        await Expect(page.GetByTestId("document-row")).ToHaveCountAsync(paths.Length);
        await Expect(page.GetByTestId("document-status").Filter(new LocatorFilterOptions { HasTextRegex = Ready() })).ToHaveCountAsync(paths.Length);
    }

    public async Task NewConversationAsync()
    {
        await page.VisitAsync("/");
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        await Expect(Answers).ToHaveCountAsync(0);
    }

    /// <summary>Sends a message; returns when the answer has begun.</summary>
    public async Task SendAsync(string message)
    {
        await Expect(page.GetByTestId("composer")).ToBeEnabledAsync();
        await Expect(page.Locator(".messages .skeleton")).ToHaveCountAsync(0);
        var before = await Answers.CountAsync();
        await page.GetByTestId("composer").FillAsync(message);
        await Expect(page.GetByTestId("send")).ToBeEnabledAsync();
        await page.GetByTestId("send").ClickAsync();
        await Expect(Answers).ToHaveCountAsync(before + 1);
    }

    /// <summary>Sends a message; returns the whole answer.</summary>
    public async Task<string> AskAsync(string message)
    {
        await SendAsync(message);
        await Expect(LastAnswer).ToHaveAttributeAsync("data-status", "completed");
        return await LastAnswer.InnerTextAsync();
    }

    [GeneratedRegex("ready", RegexOptions.IgnoreCase)]
    private static partial Regex Ready();
}
