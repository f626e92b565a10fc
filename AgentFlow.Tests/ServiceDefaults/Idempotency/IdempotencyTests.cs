using System.Net;
using System.Security.Claims;
using System.Text;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;

namespace AgentFlow.Tests.ServiceDefaults.Idempotency;

public sealed class IdempotencyTests
{
    [Fact]
    public async Task Sixteen_at_once_and_a_replay_have_one_effect()
    {
        var ct = TestContext.Current.CancellationToken;
        var effects = 0;
        await using var host = await StartAsync(() => Interlocked.Increment(ref effects));
        using var client = host.App.GetTestClient();
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => PostAsync(client, "k", "body", ct)));
        Assert.All(answers, answer => Assert.Contains(answer.Status, new[] { HttpStatusCode.Created, HttpStatusCode.Conflict }));

        var replay = await PostAsync(client, "k", "body", ct);
        Assert.Equal((HttpStatusCode.Created, "effect 1"), (replay.Status, replay.Text));
        Assert.Equal(1, effects);
    }

    [Fact]
    public async Task Another_body_is_refused_and_another_owner_is_independent()
    {
        var ct = TestContext.Current.CancellationToken;
        var effects = 0;
        await using var host = await StartAsync(() => Interlocked.Increment(ref effects));
        using var client = host.App.GetTestClient();
        await PostAsync(client, "k", "body", ct);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await PostAsync(client, "k", "other", ct)).Status);
        Assert.Equal(HttpStatusCode.Created, (await PostAsync(client, "k", "other", ct, Guid.CreateVersion7())).Status);
        Assert.Equal(2, effects);
    }

    [Fact]
    public async Task A_failure_of_ours_is_not_kept()
    {
        var ct = TestContext.Current.CancellationToken;
        var effects = 0;
        await using var host = await StartAsync(() => Interlocked.Increment(ref effects) == 1 ? throw new InvalidOperationException("first") : effects);
        using var client = host.App.GetTestClient();
        Assert.Equal(HttpStatusCode.InternalServerError, (await PostAsync(client, "k", "body", ct)).Status);
        Assert.Equal(HttpStatusCode.Created, (await PostAsync(client, "k", "body", ct)).Status);
    }

    /// <summary>Clients of HTTP choose a new boundary for each request; it is framing and says nothing.</summary>
    [Fact]
    public async Task A_form_is_known_again_by_what_is_in_it_whatever_its_boundary()
    {
        var ct = TestContext.Current.CancellationToken;
        var effects = 0;
        await using var host = await StartAsync(() => Interlocked.Increment(ref effects));
        using var client = host.App.GetTestClient();
        Assert.Equal((HttpStatusCode.Created, "effect 1"), await SendAsync(Form("b1", ("tag", null, "x"), ("file", "a.txt", "words"))));
        Assert.Equal((HttpStatusCode.Created, "effect 1"), await SendAsync(Form("another-boundary", ("tag", null, "x"), ("file", "a.txt", "words"))));
        (string Name, string? File, string Text)[][] others =
        [
            [("tag", null, "x"), ("file", "a.txt", "Words")], [("tag", null, "x"), ("file", "b.txt", "words")], [("tag", null, "y"), ("file", "a.txt", "words")],
            [("file", "a.txt", "words"), ("tag", null, "x")], [("tag", null, "x"), ("file", "a.txt", "words"), ("file", "a.txt", "words")], [("tag", "a.txt", "x"), ("file", null, "words")], [],
        ];
        foreach (var other in others)
            Assert.Equal(HttpStatusCode.UnprocessableEntity, (await SendAsync(Form("b1", other))).Status);

        // What is no whole form is told apart by its bytes.
        using var cut = new StringContent("--b1\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\nwor");
        cut.Headers.ContentType = System.Net.Http.Headers.MediaTypeHeaderValue.Parse("multipart/form-data; boundary=b1");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await SendAsync(cut)).Status);
        Assert.Equal(1, effects);

        Task<(HttpStatusCode Status, string Text)> SendAsync(HttpContent form) => IdempotencyTests.SendAsync(client, "k", form, ct);
    }

    [Theory]
    [InlineData("")]
    [InlineData("with space")]
    [InlineData("ümlaut")]
    public void Keys_that_are_no_keys(string header) => Assert.Null(IdempotencyKey.Parse(header));

    [Fact]
    public void A_key_of_256_characters_is_too_long_and_quotes_do_not_count()
    {
        Assert.Null(IdempotencyKey.Parse(new string('k', 256)));
        Assert.Equal(new string('k', 255), IdempotencyKey.Parse($"\"{new string('k', 255)}\""));
    }

    [Fact]
    public void Derived_ids_are_stable_and_apart()
    {
        var key = new IdempotencyKey(Guid.Parse("11111111-1111-1111-1111-111111111111"), "POST /x", "k");
        Assert.Equal(key.DeriveId(0), key.DeriveId(0));
        Assert.NotEqual(key.DeriveId(0), key.DeriveId(1));
        Assert.Equal(8, key.DeriveId(0).Version);
    }

    private static readonly Guid Alice = Guid.CreateVersion7();

    private static Task<FoundationHost> StartAsync(Func<int> effect) => FoundationHost.StartAsync(
        builder => builder.Services.AddIdempotency(),
        map: app =>
        {
            app.Use((context, next) =>
            {
                context.User = new ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", context.Request.Headers["X-Owner"].ToString())], "test"));
                return next(context);
            });
            app.UseRouting();
            app.UseIdempotency();
            app.MapPost("/things", () => TypedResults.Text($"effect {effect()}", statusCode: StatusCodes.Status201Created)).WithIdempotency();
        });

    private static MultipartFormDataContent Form(string boundary, params (string Name, string? File, string Text)[] parts)
    {
        var form = new MultipartFormDataContent(boundary);
        foreach (var (name, file, text) in parts)
        {
            if (file is null)
                form.Add(new StringContent(text), name);
            else
                form.Add(new StringContent(text), name, file);
        }

        return form;
    }

    private static Task<(HttpStatusCode Status, string Text)> PostAsync(HttpClient client, string key, string body, CancellationToken ct, Guid? owner = null) =>
        SendAsync(client, key, new StringContent(body, Encoding.UTF8, "text/plain"), ct, owner);

    private static async Task<(HttpStatusCode Status, string Text)> SendAsync(HttpClient client, string key, HttpContent content, CancellationToken ct, Guid? owner = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/things") { Content = content };
        request.Headers.Add("Idempotency-Key", key);
        request.Headers.Add("X-Owner", (owner ?? Alice).ToString());
        using var response = await client.SendAsync(request, ct);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(ct));
    }
}
