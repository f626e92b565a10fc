using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

public sealed class CollectionTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Shared_collection_is_found_and_read_by_its_members_and_nothing_else_of_its_owner()
    {
        var owner = await host.RegisterAsync();
        var member = await host.RegisterAsync();
        var (mine, theirs) = (new DocumentClient(owner), new DocumentClient(member));
        var shared = await mine.IngestAsync("shared.txt", "The lighthouse keeper polishes the lens at dusk.");
        var kept = await mine.IngestAsync("kept.txt", "The lighthouse keeper keeps a secret diary.");
        var collection = await CreateAsync(owner, "lights");
        await PutAsync(owner, $"/api/collections/{collection.Id}/documents/{shared.Id}");
        Assert.Empty(await theirs.SearchAsync("lighthouse keeper"));

        using var grant = await owner.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", new CollectionMemberRequest(member.Id), ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.NoContent, grant.StatusCode);

        var hit = Assert.Single(await Patience.UntilAsync(() => theirs.SearchAsync("lighthouse keeper"), hits => hits.Count > 0, "what was shared"));
        Assert.Equal((shared.Id, hit.Text), (hit.DocumentId, await theirs.TextAsync(shared.Id, hit.Start, hit.End)));
        Assert.Equal(["shared.txt"], (await theirs.Http.GetFromJsonAsync<Page<DocumentSummary>>($"/api/documents?collection={collection.Id}", ContractJson.Options, Ct))!.Items.Select(each => each.Name));
        using var content = await theirs.Http.GetAsync($"/api/documents/{shared.Id}/content", Ct);
        using var foreign = await theirs.Http.GetAsync($"/api/documents/{kept.Id}", Ct);
        using var write = await theirs.Http.DeleteAsync($"/api/collections/{collection.Id}/documents/{shared.Id}", Ct);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.NotFound), (content.StatusCode, foreign.StatusCode, write.StatusCode));
        Assert.Equal([collection.Id], (await ListAsync(member)).Select(each => each.Id));

        using var end = await owner.Client.DeleteAsync($"/api/collections/{collection.Id}/members/{member.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, end.StatusCode);
        Assert.Empty(await theirs.SearchAsync("lighthouse keeper"));
        Assert.Empty((await theirs.Http.GetFromJsonAsync<Page<DocumentSummary>>($"/api/documents?collection={collection.Id}", ContractJson.Options, Ct))!.Items);
        using var gone = await theirs.Http.GetAsync($"/api/documents/{shared.Id}", Ct);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task What_the_index_does_not_have_yet_is_found_by_the_member_as_by_the_owner()
    {
        await using var behind = await ApiHost.StartAsync(new() { ["Outbox:Enabled"] = "false" });
        var (owner, member) = (await behind.RegisterAsync(), await behind.RegisterAsync());
        var (mine, theirs) = (new DocumentClient(owner), new DocumentClient(member));
        await mine.IngestAsync("first.txt", "The ferryman rows at ebb tide.");
        Assert.Single(await mine.SearchAsync("ferryman"));
        var shared = await mine.IngestAsync("shared.txt", "The lighthouse keeper polishes the lens at dusk.");
        var collection = await CreateAsync(owner, "lights");
        await PutAsync(owner, $"/api/collections/{collection.Id}/documents/{shared.Id}");
        using var grant = await owner.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", new CollectionMemberRequest(member.Id), ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.NoContent, grant.StatusCode);

        Assert.Equal([shared.Id], (await theirs.SearchAsync("lighthouse keeper")).Select(hit => hit.DocumentId));
        Assert.Empty(await theirs.SearchAsync("ferryman ebb tide"));
        var filter = JsonElement.Parse($$"""{"collection": "{{collection.Id}}"}""");
        Assert.Single((await mine.AnswerAsync(new DocumentSearchRequest { Query = "lighthouse keeper", Filter = filter })).Items);
        Assert.Single((await theirs.AnswerAsync(new DocumentSearchRequest { Query = "lighthouse keeper", Filter = filter })).Items);
    }

    [Fact]
    public async Task Search_can_be_limited_to_a_collection_and_collections_are_named_once()
    {
        var owner = await host.RegisterAsync();
        var client = new DocumentClient(owner);
        var inside = await client.IngestAsync("in.txt", "Barley grows on the north field.");
        await client.IngestAsync("out.txt", "Barley is malted in the south barn.");
        var collection = await CreateAsync(owner, "fields");
        await PutAsync(owner, $"/api/collections/{collection.Id}/documents/{inside.Id}");

        var filter = JsonElement.Parse($$"""{"collection": "{{collection.Id}}"}""");
        var hits = await Patience.UntilAsync(async () => (await client.AnswerAsync(new DocumentSearchRequest { Query = "barley", Filter = filter })).Items, found => found.Count > 0, "the barley");

        Assert.Equal(["in.txt"], hits.Select(hit => hit.DocumentName));
        Assert.Equal(["in.txt"], (await client.Http.GetFromJsonAsync<Page<DocumentSummary>>($"/api/documents?collection={collection.Id}", ContractJson.Options, Ct))!.Items.Select(each => each.Name));
        using var twice = await owner.Client.PostAsJsonAsync("/api/collections", new CreateCollectionRequest("fields"), ContractJson.Options, Ct);
        using var nameless = await owner.Client.PostAsJsonAsync("/api/collections", new CreateCollectionRequest(" "), ContractJson.Options, Ct);
        Assert.Equal((HttpStatusCode.Conflict, HttpStatusCode.BadRequest), (twice.StatusCode, nameless.StatusCode));
    }

    [Fact]
    public async Task An_upload_goes_into_its_collection_also_when_the_document_is_there_already()
    {
        var owner = await host.RegisterAsync();
        var client = new DocumentClient(owner);
        await client.IngestAsync("oats.txt", "Oats like cool summers.");
        var collection = await CreateAsync(owner, "grain");

        await client.FinishedAsync((await UploadAsync(owner, collection.Id, "rye.txt", "Rye grows on poor soil.")).Id!.Value);
        Assert.True((await UploadAsync(owner, collection.Id, "oats again.txt", "Oats like cool summers.")).Duplicate);
        Assert.True((await UploadAsync(owner, collection.Id, "rye.txt", "Rye grows on poor soil.")).Duplicate);

        var inside = (await client.Http.GetFromJsonAsync<Page<DocumentSummary>>($"/api/documents?collection={collection.Id}", ContractJson.Options, Ct))!.Items;
        Assert.Equal(["oats.txt", "rye.txt"], inside.Select(each => each.Name).Order(StringComparer.Ordinal));
        var filter = JsonElement.Parse($$"""{"collection": "{{collection.Id}}"}""");
        await Patience.UntilAsync(async () => (await client.AnswerAsync(new DocumentSearchRequest { Query = "oats", Filter = filter })).Items, found => found.Any(hit => hit.DocumentName == "oats.txt"), "the oats");
        using var foreign = await (await host.RegisterAsync()).Client.PostAsync("/api/documents", Form(collection.Id, "rye.txt", "Somebody else's rye."), Ct);
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }

    [Fact]
    public async Task A_collection_is_shared_by_e_mail_address_and_names_its_members()
    {
        var (owner, member) = (await host.RegisterAsync(), await host.RegisterAsync());
        var path = $"/api/collections/{(await CreateAsync(owner, "maps")).Id}/members";
        async Task<HttpStatusCode> ShareAsync(CollectionMemberRequest request)
        {
            using var response = await owner.Client.PostAsJsonAsync(path, request, ContractJson.Options, Ct);
            return response.StatusCode;
        }

        Assert.Equal(HttpStatusCode.NoContent, await ShareAsync(new(Email: $" {member.Email.ToUpperInvariant()} ", Access: CollectionAccess.Write)));

        var shared = Assert.Single((await owner.Client.GetFromJsonAsync<Page<CollectionMember>>(path, ContractJson.Options, Ct))!.Items);
        Assert.Equal((member.Id, CollectionAccess.Write, member.Tokens.User.DisplayName), (shared.UserId, shared.Access, shared.DisplayName));
        Assert.Equal(
            [HttpStatusCode.NotFound, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest],
            [await ShareAsync(new(Email: "nobody@example.org")), await ShareAsync(new(Email: owner.Email)), await ShareAsync(new()), await ShareAsync(new(member.Id, Email: member.Email))]);
    }

    [Fact]
    public async Task Foreign_collections_do_not_exist()
    {
        var owner = await host.RegisterAsync();
        var collection = await CreateAsync(owner, "mine");
        var other = await host.RegisterAsync();
        var document = await new DocumentClient(other).IngestAsync("o.txt", "Somebody else's words.");
        var unknown = new CollectionMemberRequest(OwnerId.New());

        using var delete = await other.Client.DeleteAsync($"/api/collections/{collection.Id}", Ct);
        using var add = await other.Client.PutAsync($"/api/collections/{collection.Id}/documents/{document.Id}", null, Ct);
        using var addForeign = await owner.Client.PutAsync($"/api/collections/{collection.Id}/documents/{document.Id}", null, Ct);
        using var members = await other.Client.GetAsync($"/api/collections/{collection.Id}/members", Ct);
        using var share = await owner.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", unknown, ContractJson.Options, Ct);

        Assert.All([delete, add, addForeign, members, share], response => Assert.Equal(HttpStatusCode.NotFound, response.StatusCode));
        using var own = await owner.Client.DeleteAsync($"/api/collections/{collection.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, own.StatusCode);
        Assert.Empty(await ListAsync(owner));
    }

    [Fact]
    public async Task Replacing_swaps_the_passages_and_patching_changes_what_filters_see()
    {
        var owner = await host.RegisterAsync();
        var client = new DocumentClient(owner);
        var document = await client.IngestAsync("recipe.txt", "The soup needs turnips.");

        using var replaced = await client.Http.PutAsync($"/api/documents/{document.Id}/content", DocumentClient.Form(("recipe.md", "# Soup\n\nThe soup needs leeks."u8.ToArray())), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);
        var after = await client.FinishedAsync(document.Id);

        Assert.Equal((DocumentStatus.Ready, "recipe.md", "Soup"), (after.Status, after.Name, after.Title));
        Assert.Equal("# Soup\n\nThe soup needs leeks.", await client.TextAsync(document.Id));
        Assert.DoesNotContain(await client.SearchAsync("soup turnips"), hit => hit.Text.Contains("turnips", StringComparison.Ordinal));

        using var patch = await client.Http.PatchAsJsonAsync($"/api/documents/{document.Id}", new PatchDocumentRequest { Tags = ["kitchen"] }, ContractJson.Options, Ct);
        Assert.Equal(["kitchen"], (await patch.Content.ReadFromJsonAsync<DocumentSummary>(ContractJson.Options, Ct))!.Tags);
        var filter = JsonElement.Parse("""{"tag": "kitchen"}""");
        Assert.NotEmpty(await Patience.UntilAsync(async () => (await client.AnswerAsync(new DocumentSearchRequest { Query = "soup", Filter = filter })).Items, found => found.Count > 0, "the soup"));
        using var wrong = await client.Http.PatchAsJsonAsync($"/api/documents/{document.Id}", new PatchDocumentRequest { Tags = [""] }, ContractJson.Options, Ct);
        using var foreign = await (await host.RegisterAsync()).Client.PatchAsJsonAsync($"/api/documents/{document.Id}", new PatchDocumentRequest { Name = "x" }, ContractJson.Options, Ct);
        using var cancelled = await client.Http.PostAsync($"/api/documents/{document.Id}/cancel", null, Ct);
        using var unknown = await client.Http.PostAsync($"/api/documents/{Guid.NewGuid()}/cancel", null, Ct);
        Assert.Equal(
            [HttpStatusCode.BadRequest, HttpStatusCode.NotFound, HttpStatusCode.OK, HttpStatusCode.NotFound],
            [wrong.StatusCode, foreign.StatusCode, cancelled.StatusCode, unknown.StatusCode]);
    }

    [Fact]
    public async Task Addresses_are_fetched_only_where_that_is_switched_on_and_never_from_a_private_network()
    {
        var request = new IngestUrlRequest("http://127.0.0.1:8089/page.html");
        using var off = await host.Admin.Client.PostAsJsonAsync("/api/documents/url", request, ContractJson.Options, Ct);
        await using var open = await ApiHost.StartAsync(new() { ["Documents:AllowUrls"] = "true" });
        using var own = await open.Admin.Client.PostAsJsonAsync("/api/documents/url", request, ContractJson.Options, Ct);
        using var file = await open.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest("file:///etc/passwd"), ContractJson.Options, Ct);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest), (off.StatusCode, own.StatusCode, file.StatusCode));
        Assert.Contains("address_not_public", await own.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_of_an_allowed_network_becomes_a_document()
    {
        var builder = Microsoft.AspNetCore.Builder.WebApplication.CreateSlimBuilder();
        Microsoft.AspNetCore.Hosting.HostingAbstractionsWebHostBuilderExtensions.UseUrls(builder.WebHost, "http://127.0.0.1:0");
        await using var site = builder.Build();
        Microsoft.AspNetCore.Builder.EndpointRouteBuilderExtensions.MapGet(
            site, "/page.html", () => Microsoft.AspNetCore.Http.TypedResults.Text("<h1>Harbour</h1><p>The pilot boards at noon.</p>", "text/html"));
        await site.StartAsync(Ct);
        await using var open = await ApiHost.StartAsync(new() { ["Documents:AllowUrls"] = "true", ["Fetch:AllowedNetworks:0"] = "127.0.0.1/32" });

        using var fetched = await open.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest($"{site.Urls.First()}/page.html"), ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.Created, fetched.StatusCode);
        var hits = await Patience.UntilAsync(() => new DocumentClient(open.Admin).SearchAsync("pilot boards"), found => found.Count > 0, "the fetched page");
        Assert.Contains("The pilot boards at noon.", hits[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Taking_out_a_document_or_a_member_is_for_those_who_may_change_the_set()
    {
        var (owner, other) = (await host.RegisterAsync(), await host.RegisterAsync());
        var document = await new DocumentClient(owner).IngestAsync("a.txt", "Something to take out again.");
        var collection = await CreateAsync(owner, "short-lived");
        await PutAsync(owner, $"/api/collections/{collection.Id}/documents/{document.Id}");

        using var foreignMember = await other.Client.DeleteAsync($"/api/collections/{collection.Id}/members/{owner.Id}", Ct);
        using var own = await owner.Client.DeleteAsync($"/api/collections/{collection.Id}/documents/{document.Id}", Ct);
        using var form = new MultipartFormDataContent { { new ByteArrayContent("x"u8.ToArray()), "file", "x.txt" } };
        using var replaced = await other.Client.PutAsync($"/api/documents/{document.Id}/content", form, Ct);
        Assert.Equal(
            (HttpStatusCode.NotFound, HttpStatusCode.NoContent, HttpStatusCode.NotFound), (foreignMember.StatusCode, own.StatusCode, replaced.StatusCode));
    }

    [Fact]
    public async Task What_a_member_uploads_is_the_owners_and_the_member_looks_after_it_while_the_grant_lasts()
    {
        var (owner, writer, reader) = (await host.RegisterAsync(), await host.RegisterAsync(), await host.RegisterAsync());
        var collection = await CreateAsync(owner, "harvest");
        await ShareAsync(owner, collection, writer, CollectionAccess.Write);
        await ShareAsync(owner, collection, reader, CollectionAccess.Read);
        var (mine, theirs) = (new DocumentClient(owner), new DocumentClient(writer));

        var uploaded = await UploadAsync(writer, collection.Id, "beans.txt", "Runner beans want a wigwam of canes.");
        Assert.Equal(DocumentStatus.Ready, (await theirs.FinishedAsync(uploaded.Id!.Value)).Status);

        var seen = Assert.Single((await mine.Http.GetFromJsonAsync<Page<DocumentSummary>>("/api/documents", ContractJson.Options, Ct))!.Items);
        Assert.Equal(("beans.txt", new DocumentUploader(writer.Id, writer.Tokens.User.DisplayName)), (seen.Name, seen.UploadedBy));
        Assert.Empty((await theirs.Http.GetFromJsonAsync<Page<DocumentSummary>>("/api/documents", ContractJson.Options, Ct))!.Items);
        foreach (var user in new[] { owner, writer, reader })
            await Patience.UntilAsync(() => new DocumentClient(user).SearchAsync("wigwam of canes"), hits => hits.Count == 1, "the beans");
        using var task = await theirs.Http.GetAsync($"/api/tasks/{seen.TaskId}", Ct);
        Assert.Equal((null, null, HttpStatusCode.NotFound), (uploaded.TaskId, (await theirs.GetAsync(seen.Id)).TaskId, task.StatusCode));

        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(reader.Client.PostAsync("/api/documents", Form(collection.Id, "peas.txt", "Peas."), Ct)));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(reader.Client.DeleteAsync($"/api/documents/{seen.Id}", Ct)));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(writer.Client.PatchAsJsonAsync($"/api/documents/{seen.Id}", new PatchDocumentRequest { Tags = ["pods"] }, ContractJson.Options, Ct)));
        Assert.Equal(HttpStatusCode.Accepted, await StatusAsync(writer.Client.PutAsync($"/api/documents/{seen.Id}/content", DocumentClient.Form(("beans.txt", "Broad beans want no canes."u8.ToArray())), Ct)));
        await theirs.FinishedAsync(seen.Id);
        Assert.Equal("Broad beans want no canes.", await mine.TextAsync(seen.Id));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Accepted), (await StatusAsync(writer.Client.PostAsync($"/api/documents/{seen.Id}/cancel", null, Ct)), await StatusAsync(writer.Client.PostAsync($"/api/documents/{seen.Id}/retry", null, Ct))));
        await theirs.FinishedAsync(seen.Id);

        await ShareAsync(owner, collection, writer, CollectionAccess.Read);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(writer.Client.DeleteAsync($"/api/documents/{seen.Id}", Ct)));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(writer.Client.PostAsync("/api/documents", Form(collection.Id, "peas.txt", "Peas."), Ct)));
        await ShareAsync(owner, collection, writer, CollectionAccess.Write);
        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(writer.Client.DeleteAsync($"/api/documents/{seen.Id}", Ct)));
        Assert.Empty((await mine.Http.GetFromJsonAsync<Page<DocumentSummary>>("/api/documents", ContractJson.Options, Ct))!.Items);
    }

    [Fact]
    public async Task A_members_upload_says_nothing_of_what_the_owner_keeps_elsewhere()
    {
        var (owner, writer) = (await host.RegisterAsync(), await host.RegisterAsync());
        var (mine, theirs) = (new DocumentClient(owner), new DocumentClient(writer));
        var diary = await mine.IngestAsync("diary.txt", "The spare key lies under the third flowerpot.");
        var open = await mine.IngestAsync("open.txt", "The gate is painted green.");
        var collection = await CreateAsync(owner, "house");
        await PutAsync(owner, $"/api/collections/{collection.Id}/documents/{open.Id}");
        await ShareAsync(owner, collection, writer, CollectionAccess.Write);

        var same = await UploadAsync(writer, collection.Id, "guess.txt", "The spare key lies under the third flowerpot.");
        Assert.Equal((null, "guess.txt", DocumentStatus.Received), (same.Duplicate, same.Name, same.Status));
        Assert.NotEqual(diary.Id, same.Id);
        await theirs.FinishedAsync(same.Id!.Value);
        Assert.Equal((same.Id, true), await AgainAsync("The spare key lies under the third flowerpot."));
        Assert.Equal((open.Id, true), await AgainAsync("The gate is painted green."));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(writer.Client.GetAsync($"/api/documents/{diary.Id}", Ct)));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(writer.Client.DeleteAsync($"/api/documents/{open.Id}", Ct)));

        // Nor does giving a document this very content, nor the owner's own upload meet what members brought.
        Assert.Equal(HttpStatusCode.Accepted, await StatusAsync(writer.Client.PutAsync($"/api/documents/{same.Id}/content", DocumentClient.Form(("guess.txt", "The gate is painted green."u8.ToArray())), Ct)));
        Assert.Equal((diary.Id, true), ((await mine.UploadAsync("diary again.txt", "The spare key lies under the third flowerpot.")) is var own ? (own.Id, own.Duplicate) : default));

        using var takenOut = await writer.Client.DeleteAsync($"/api/collections/{collection.Id}/documents/{open.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, takenOut.StatusCode);
        Assert.Equal("open.txt", (await mine.GetAsync(open.Id)).Name);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(writer.Client.GetAsync($"/api/documents/{open.Id}", Ct)));

        async Task<(DocumentId?, bool?)> AgainAsync(string text) => await UploadAsync(writer, collection.Id, "again.txt", text) is var again ? (again.Id, again.Duplicate) : default;
    }

    private static async Task ShareAsync(TestUser owner, Collection collection, TestUser member, CollectionAccess access) => Assert.Equal(
        HttpStatusCode.NoContent, await StatusAsync(owner.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", new CollectionMemberRequest(member.Id, access), ContractJson.Options, Ct)));

    private static async Task<HttpStatusCode> StatusAsync(Task<HttpResponseMessage> sent)
    {
        using var response = await sent;
        return response.StatusCode;
    }

    private static async Task<Collection> CreateAsync(TestUser user, string name)
    {
        using var response = await user.Client.PostAsJsonAsync("/api/collections", new CreateCollectionRequest(name), ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<Collection>(ContractJson.Options, Ct))!;
    }

    private static MultipartFormDataContent Form(CollectionId collection, string name, string text) => new()
    {
        { new StringContent(collection.ToString()), "collection" },
        { new StringContent(text, System.Text.Encoding.UTF8, "text/plain"), "file", name },
    };

    private static async Task<UploadedDocument> UploadAsync(TestUser user, CollectionId collection, string name, string text)
    {
        using var response = await user.Client.PostAsync("/api/documents", Form(collection, name, text), Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return Assert.Single((await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct))!.Items);
    }

    private static async Task PutAsync(TestUser user, string path)
    {
        using var response = await user.Client.PutAsync(path, null, Ct);
        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
    }

    private static async Task<IReadOnlyList<Collection>> ListAsync(TestUser user) =>
        (await user.Client.GetFromJsonAsync<Page<Collection>>("/api/collections", ContractJson.Options, Ct))!.Items;
}
