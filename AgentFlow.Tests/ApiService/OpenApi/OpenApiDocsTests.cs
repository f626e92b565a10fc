using System.Net;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.Tests.Access;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Routing;

namespace AgentFlow.Tests.ApiService.OpenApi;

public sealed class OpenApiDocsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_document_describes_exactly_the_routes()
    {
        var documented = Operations(await DocumentAsync()).Select(operation => operation.Name).Order(StringComparer.Ordinal).ToArray();
        var routes = RouteTable.Of(host.App)
            .Where(route => route.Endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>()?.ExcludeFromDescription is not true)
            .Select(route => $"{route.Method} {RouteTable.Fill(route.Endpoint, name => $"{{{name}}}")}")
            .Order(StringComparer.Ordinal)
            .ToArray();

        Assert.Equal(routes, documented);
    }

    [Fact]
    public async Task Every_operation_has_a_name_a_summary_statuses_and_an_example_body()
    {
        var document = await DocumentAsync();
        var lacking = new List<string>();
        foreach (var (name, operation) in Operations(document))
        {
            if (!operation.TryGetProperty("summary", out var summary) || summary.GetString()!.Length < 5 || !operation.TryGetProperty("operationId", out _))
            {
                lacking.Add($"{name}: name or summary");
            }

            if (name != "GET /ready" && !operation.GetProperty("responses").EnumerateObject().Any(response => response.Name[0] == '2' || response.Name == "101"))
            {
                lacking.Add($"{name}: a success");
            }

            if (operation.TryGetProperty("requestBody", out var body) && body.GetProperty("content").TryGetProperty("application/json", out var json) && !json.TryGetProperty("example", out _))
            {
                lacking.Add($"{name}: an example");
            }
        }

        Assert.True(lacking.Count == 0, string.Join(Environment.NewLine, lacking));
        var names = Operations(document).Select(operation => operation.Value.GetProperty("operationId").GetString()).ToArray();
        Assert.Equal(names.Length, names.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public async Task Operations_say_where_an_idempotency_key_is_taken()
    {
        var taking = Operations(await DocumentAsync())
            .Where(operation => operation.Value.TryGetProperty("parameters", out var parameters) && parameters.EnumerateArray().Any(each => each.GetProperty("name").GetString() == "Idempotency-Key"))
            .Select(operation => operation.Name).ToList();

        var marked = RouteTable.Of(host.App).Where(route => route.Endpoint.Metadata.GetMetadata<IdempotentRoute>() is not null)
            .Select(route => $"{route.Method} {RouteTable.Fill(route.Endpoint, name => $"{{{name}}}")}").ToList();
        Assert.Contains("POST /api/auth/keys", marked);
        Assert.Contains("PATCH /api/documents/{id}", marked);
        Assert.Empty(marked.Except(taking, StringComparer.Ordinal));
    }

    [Fact]
    public async Task Typed_ids_and_texts_are_described()
    {
        var schemas = (await DocumentAsync()).GetProperty("components").GetProperty("schemas");
        var profile = schemas.GetProperty("UserProfile").GetProperty("properties");

        Assert.Equal("string", profile.GetProperty("email").GetProperty("type").GetString());
        Assert.Contains("uuid", schemas.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_page_is_there_with_a_policy_that_lets_it_run_and_nothing_else()
    {
        using var client = host.Client();
        using var page = await client.GetAsync("/docs/index.html", Ct);

        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.StartsWith("default-src 'self'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/docs/swagger-ui-bundle.js", Ct)).StatusCode);
    }

    private async Task<JsonElement> DocumentAsync()
    {
        using var client = host.Client();
        return JsonElement.Parse(await client.GetStringAsync("/openapi/v1.json", Ct));
    }

    private static IEnumerable<(string Name, JsonElement Value)> Operations(JsonElement document) => document.GetProperty("paths").EnumerateObject()
        .SelectMany(path => path.Value.EnumerateObject().Where(member => member.Name is "get" or "post" or "put" or "patch" or "delete")
            .Select(member => ($"{member.Name.ToUpperInvariant()} {(path.Name.Length > 1 ? path.Name.TrimEnd('/') : path.Name)}", member.Value)));
}
