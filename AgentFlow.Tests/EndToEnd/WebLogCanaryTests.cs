using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>The Web logs everything at Trace as structured lines, and nothing that is secret, and nothing that people write, may be in any of them.</summary>
public sealed partial class WebLogCanaryTests
{
    private const string Content = "quetzalcanarytext";
    private const string WrongPassword = "quetzal wrong password";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_canary_is_found_in_any_line_of_the_Web_at_trace_level()
    {
        await using var api = await ApiHost.StartAsync([]);
        var canaries = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["password"] = ChatPageDriver.Password, ["wrong password"] = WrongPassword, ["wrong password, encoded"] = Uri.EscapeDataString(WrongPassword), ["set-up token"] = ApiHost.SetupToken,
            ["signing key"] = Convert.ToBase64String(ApiHost.Secret), ["content"] = Content,
        };
        IReadOnlyCollection<string> lines;
        await using (var web = await WebProcess.StartAsync(
            api.Address, ("Edges:HttpsRedirect", "false"), ("Logging:LogLevel:Default", "Trace"), ("Logging:LogLevel:Microsoft", "Trace"), ("Logging:LogLevel:Microsoft.AspNetCore", "Trace"), ("Logging:LogLevel:System", "Trace")))
        {
            await using var browser = new CircuitClient(web.Address);
            await WalkAsync(browser, canaries);
            lines = web.Output;
        }

        Assert.True(lines.Count > 500, $"{lines.Count} lines");
        Assert.Contains(lines, line => line.Contains("\"LogLevel\":\"Trace\"", StringComparison.Ordinal));
        var found = canaries.SelectMany(canary => lines.Where(line => line.Contains(canary.Value, StringComparison.OrdinalIgnoreCase)).Select(line => $"{canary.Key} in: {line}")).Take(20).ToArray();
        Assert.True(found.Length == 0, string.Join(Environment.NewLine, found));
        Assert.Empty(lines.Where(line => Token().IsMatch(line)).Take(10));
    }

    /// <summary>Signs up, signs in wrongly, types into a circuit, uploads and downloads; what it learns on the way is a canary as well.</summary>
    private static async Task WalkAsync(CircuitClient browser, Dictionary<string, string> canaries)
    {
        await browser.SignUpAsync("", "canary@example.test", Ct);
        canaries["session"] = browser.Cookie("agentflow_session");
        canaries["antiforgery cookie"] = browser.Cookie(".AspNetCore.Antiforgery");
        await browser.OpenAsync("/", Ct);
        await browser.TypeAsync(Content, Ct);
        canaries["antiforgery token"] = await browser.Http.GetStringAsync("/files/antiforgery", Ct);
        using (var form = new MultipartFormDataContent { { new StringContent($"All about {Content}.", Encoding.UTF8, "text/plain"), "file", $"{Content}.txt" } })
        using (var upload = new HttpRequestMessage(HttpMethod.Post, "/files/documents") { Content = form, Headers = { { "RequestVerificationToken", canaries["antiforgery token"] } } })
        using (var uploaded = await browser.Http.SendAsync(upload, Ct))
        {
            var answer = await uploaded.Content.ReadAsStringAsync(Ct);
            Assert.True(uploaded.StatusCode is HttpStatusCode.Created, answer);
            using var download = await browser.Http.GetAsync($"/files/documents/{System.Text.Json.JsonElement.Parse(answer).GetProperty("items")[0].GetProperty("id").GetString()}", Ct);
            Assert.Contains(Content, await download.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        }

        foreach (var path in new[] { $"/sign-up?setup={ApiHost.SetupToken}", $"/sign-in?returnUrl=%2F{Content}", $"/documents?q={Content}", "/files/memories.json", "/nothing-here" })
            (await browser.Http.GetAsync(path, Ct)).Dispose();
        var fields = WebProcess.HiddenFields(await browser.Http.GetStringAsync("/sign-in", Ct));
        fields["Form.Email"] = "canary@example.test";
        fields["Form.Password"] = WrongPassword;
        (await browser.Http.PostAsync("/sign-in", new FormUrlEncodedContent(fields), Ct)).Dispose();
        fields.Remove("__RequestVerificationToken");
        (await browser.Http.PostAsync("/sign-in", new FormUrlEncodedContent(fields), Ct)).Dispose();
        (await browser.Http.PostAsync("/sign-out", new FormUrlEncodedContent([]), Ct)).Dispose();
    }

    /// <summary>Anything that looks like a token of ours: a JWT, or a key, refresh token or ticket with its secret.</summary>
    [GeneratedRegex(@"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|\baf[irw]?_(mem_)?[\w-]{24,}")]
    private static partial Regex Token();
}
