using System.Net;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.ApiService.Tools.BuiltIn;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>A fetched page is decoded as a browser would: by its mark, by what its server says, by what it says of itself, and then by its looks.</summary>
public sealed class PageCharsetTests(HostileFileTests.Urls urls) : IClassFixture<HostileFileTests.Urls>
{
    private const string Russian = "Паром";
    private const string Greek = "Το πλοίο";
    private const string Czech = "Přívoz řeže říčku";
    private const string Japanese = "渡し船";
    private const string Long = "Паром уходит в полдень, когда колокол на башне бьёт двенадцать раз. Кто опоздал, ждёт до вечера на берегу, и никто его не повезёт.";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Type of the answer, encoding of its bytes, text; a mark, and what the page says of itself.</summary>
    public static TheoryData<string, string, string, string> Pages => new()
    {
        { "text/html; charset=koi8-r", "koi8-r", Russian, "<meta charset=windows-1251>" },
        { "text/html; charset=\"KOI8-R\"", "koi8-r", Russian, "" },
        { "text/html", "koi8-r", Russian, "<meta charset=koi8-r>" },
        { "text/html; charset=koi8-r", "utf-8", Russian, "\uFEFF<meta charset=windows-1251>" },
        { "text/html; charset=utf-8", "windows-1251", Russian, "<meta charset=windows-1251>" },
        { "text/html; charset=x-none", "koi8-r", Russian, "<meta charset=koi8-r>" },
        { "text/html; charset=iso-8859-7", "iso-8859-7", Greek, "" },
        { "text/html; charset=utf-16", "utf-16", Japanese, "" },
        { "text/html; charset=utf-8", "utf-8", Japanese, "<meta charset=shift_jis>" },
        { "text/html", "windows-1251", Long, "" },
        { "text/plain; charset=windows-1250", "windows-1250", Czech, "" },
        { "text/plain; charset=shift_jis", "shift_jis", Japanese, "" },
        { "text/csv; charset=windows-1250", "windows-1250", $"{Czech};{Czech}", "" },
    };

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_is_decoded_by_its_mark_its_server_its_own_word_and_its_looks(string type, string encoding, string text, string head)
    {
        var content = Content(type, encoding, text, head);
        using var response = await urls.Host.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest(urls.Web.Page(type, content)), ContractJson.Options, Ct);

        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Ct));
        var client = new DocumentClient(urls.Host.Admin);
        var upload = await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct);
        var document = await client.FinishedAsync(upload!.Items[0].Id!.Value);
        Assert.Equal((DocumentStatus.Ready, null), (document.Status, document.FailureReason));
        Assert.Contains(text.Split(';')[0], await client.TextAsync(document.Id), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void The_tool_that_reads_a_page_decodes_it_in_the_same_order(string type, string encoding, string text, string head)
    {
        var parts = type.Split("; charset=");
        Assert.Equal(text, FetchedText.Of(new Fetched(new Uri("https://example.org/"), parts[0], parts.ElementAtOrDefault(1)?.Trim('"'), Content(type, encoding, text, head))).Trim());
    }

    [Fact]
    public void What_no_encoding_fits_is_shown_to_the_tool_with_signs_in_place_of_its_letters() => Assert.Equal(
        "a\uFFFDb", FetchedText.Of(new Fetched(new Uri("https://example.org/"), "text/plain", null, [(byte)'a', 0x81, (byte)'b'])));

    private static byte[] Content(string type, string encoding, string text, string head) => (CodePagesEncodingProvider.Instance.GetEncoding(encoding) ?? Encoding.GetEncoding(encoding))
        .GetBytes(type.StartsWith("text/html", StringComparison.Ordinal) ? $"{head}<p>{text}</p>" : text);
}
