using System.Net;
using System.Net.Http.Headers;
using System.Security.Claims;
using System.Text;
using System.Text.Json;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;

namespace AgentFlow.Tests.MemoryService.Access;

/// <summary>What the service refuses before or whatever it does with it.</summary>
public sealed class MemoryEdgesTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("evil.example", HttpStatusCode.BadRequest)]
    [InlineData("localhost", HttpStatusCode.OK)]
    public async Task Only_known_hosts_are_answered(string host, HttpStatusCode status)
    {
        using var client = await fixture.Host.ClientAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/memories?userId=u") { Headers = { Host = host } };
        Assert.Equal(status, (await client.SendAsync(request, Ct)).StatusCode);
    }

    [Theory]
    [InlineData("POST", "/api/memories", """{"text":"a\u0000b","userId":"u","infer":false}""")]
    [InlineData("POST", "/api/memories", """{"text":"a","userId":"u\u0000","infer":false}""")]
    [InlineData("POST", "/api/memories", """{"text":"a","userId":"u","infer":false,"metadata":{"k":["x\u0000"]}}""")]
    [InlineData("POST", "/api/memories", """{"text":"a","userId":"u","infer":false,"metadata":{"k\u0000":1}}""")]
    [InlineData("POST", "/api/memories", """{"text":"a \ud800 b","userId":"u","infer":false}""")]
    [InlineData("POST", "/api/memories", """{"messages":[{"role":"user","content":"\u0000"}],"userId":"u"}""")]
    [InlineData("POST", "/api/memories/search", """{"query":"a\u0000","filter":{"userId":"u"}}""")]
    [InlineData("POST", "/api/memories/search", """{"query":"a","filter":{"userId":"u\u0000"}}""")]
    [InlineData("POST", "/api/memories/search", """{"query":"a","filter":{"userId":"u","k\u0000":1}}""")]
    [InlineData("GET", "/api/memories?userId=u%00", null)]
    [InlineData("POST", "/api/subjects/erase", """{"userId":"u\u0000"}""")]
    [InlineData("POST", "/v3/memories/add/", """{"messages":[{"role":"user","content":"a\u0000"}],"user_id":"u"}""")]
    [InlineData("POST", "/v3/memories/add/", """{"messages":[{"role":"user","content":"a"}],"user_id":"u","metadata":{"k":"\ud800"}}""")]
    [InlineData("POST", "/v3/memories/search/", """{"query":"\u0000","filters":{"user_id":"u"}}""")]
    [InlineData("POST", "/memories", """{"messages":[{"role":"user","content":"a"}],"user_id":"\u0000"}""")]
    [InlineData("DELETE", "/v1/memories/?user_id=%00", null)]
    public async Task Text_that_no_database_can_hold_is_refused(string method, string path, string? body)
    {
        using var client = await fixture.Host.ClientAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(request, Ct);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Theory]
    [InlineData("application/json; charset=utf-16", null, HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json; charset=bogus", null, HttpStatusCode.UnsupportedMediaType)]
    [InlineData("text/plain", null, HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", "gzip", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json; charset=utf-8", null, HttpStatusCode.Created)]
    public async Task One_encoding_is_taken(string type, string? encoding, HttpStatusCode status)
    {
        using var client = await fixture.Host.ClientAsync();
        using var content = new ByteArrayContent("""{"text":"The door is green","userId":"u","infer":false}"""u8.ToArray());
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        if (encoding is not null)
            content.Headers.ContentEncoding.Add(encoding);
        Assert.Equal(status, (await client.PostAsync("/api/memories", content, Ct)).StatusCode);
    }

    [Theory]
    [InlineData("/api/memories")]
    [InlineData("/v3/memories/add/")]
    public async Task A_body_over_the_limit_is_too_large(string path)
    {
        using var client = await fixture.Host.ClientAsync();
        using var content = new StringContent($$"""{"text":"{{new string('x', 9 << 20)}}","userId":"u"}""", Encoding.UTF8, "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };

        // The server answers before the body is there and cuts it; a client that asks first hears the answer.
        request.Headers.ExpectContinue = true;
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await client.SendAsync(request, Ct)).StatusCode);
    }

    [Theory]
    [InlineData("not-an-id")]
    [InlineData("00000000-0000-7000-8000-000000000000")]
    [InlineData("1%27%20or%20%271%27=%271")]
    public async Task An_id_that_names_nothing_is_not_found(string id)
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal((404, "not_found"), await client.GetAsync($"/api/memories/{id}", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await client.DeleteAsync($"/api/memories/{id}", Ct).RefusalAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync($"/v1/memories/{id}/", Ct)).StatusCode);
    }

    /// <summary>Routing's own answers come through; a route without a policy, which could only be a mistake, is closed to everybody.</summary>
    [Fact]
    public async Task What_declares_no_policy_is_closed_unless_it_is_no_route_of_ours()
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("/no/such/place", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await client.PutAsync("/api/memories", null, Ct)).StatusCode);

        var fallback = (await fixture.Host.Get<IAuthorizationPolicyProvider>().GetFallbackPolicyAsync())!;
        var somebody = new ClaimsPrincipal(new ClaimsIdentity([new Claim("scope", "memory.admin"), new Claim("sub", Guid.CreateVersion7().ToString())], "test"));
        async Task<bool> PassesAsync(Endpoint? endpoint)
        {
            var context = new DefaultHttpContext();
            context.SetEndpoint(endpoint);
            return (await fixture.Host.Get<IAuthorizationService>().AuthorizeAsync(somebody, context, fallback)).Succeeded;
        }

        Assert.True(await PassesAsync(null));
        Assert.True(await PassesAsync(new Endpoint(null, null, "415 HTTP Unsupported Media Type")));
        Assert.False(await PassesAsync(new RouteEndpoint(_ => Task.CompletedTask, RoutePatternFactory.Parse("/forgotten"), 0, null, "forgotten")));
    }

    [Theory]
    [InlineData("""{"text":"x","userId":"u","ownerId":"00000000-0000-7000-8000-000000000000"}""")]
    [InlineData("""{"text":"x","text":"y","userId":"u"}""")]
    [InlineData("""{"text":7,"userId":"u"}""")]
    [InlineData("""[]""")]
    [InlineData("null")]
    [InlineData("")]
    [InlineData("{")]
    public async Task Json_that_is_not_what_the_route_takes_is_refused(string body)
    {
        using var client = await fixture.Host.ClientAsync();
        using var response = await client.PostTextAsync("/api/memories", body);
        Assert.Equal((HttpStatusCode.BadRequest, "application/problem+json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
    }

    [Fact]
    public async Task A_query_that_is_nested_too_deeply_is_refused_naming_the_place()
    {
        using var client = await fixture.Host.ClientAsync();
        var filter = string.Concat(Enumerable.Repeat("""{"NOT":""", 40)) + "{\"a\":1}" + new string('}', 40);
        using var response = await client.PostTextAsync("/api/memories/search", "{\"query\":\"x\",\"filter\":{\"userId\":\"u\",\"NOT\":" + filter + "}}");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.NotEmpty(JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("errors").EnumerateObject());
    }
}
