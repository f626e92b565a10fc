using System.Net;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.Web.Api;
using AgentFlow.Web.Resources;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Files;

/// <summary>Files between the browser and the API, passed through as streams: a circuit would hold them in memory.</summary>
internal static class FileEndpoints
{
    /// <summary>Bytes; the API has the real limit, this one only bounds what an unlimited sender could pass.</summary>
    private const long MaxUploadBytes = 512L * 1024 * 1024;

    public static void MapFiles(this WebApplication app)
    {
        var files = app.MapGroup("/files").RequireAuthorization();
        files.MapPost("/documents", UploadAsync).WithName("UploadDocuments");
        files.MapGet("/documents/{id:guid}", DownloadAsync).WithName("DownloadDocument");
        files.MapGet("/conversations/{id:guid}.md", ExportAsync).WithName("ExportConversation");
        files.MapGet("/memories.json", MemoriesAsync).WithName("ExportMemories");
        files.MapGet("/account.json", AccountAsync).WithName("ExportOwnAccount");
        files.MapGet("/antiforgery", Token).WithName("AntiforgeryToken");
    }

    /// <summary>The token that scripts of this page put into <c>RequestVerificationToken</c>; other origins can not read it.</summary>
    private static IResult Token(HttpContext context, IAntiforgery antiforgery) =>
        TypedResults.Text(antiforgery.GetAndStoreTokens(context).RequestToken ?? "");

    private static async Task<IResult> UploadAsync(HttpContext context, IAntiforgery antiforgery, ApiClient api)
    {
        // Not by metadata: that would read the body as a form, and files stay streams here.
        if (!await IsOwnPageAsync(context, antiforgery))
            return Problem.Result(StatusCodes.Status400BadRequest, "antiforgery", "This upload did not come from AgentFlow's own page. Load the page anew.");
        if (context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = MaxUploadBytes;
        try
        {
            using var response = await api.OpenAsync(() => Forward(context.Request), context.RequestAborted);
            return TypedResults.Text(await response.Content.ReadAsStringAsync(context.RequestAborted), "application/json", statusCode: (int)response.StatusCode);
        }
        catch (ApiException refusal)
        {
            return Refuse(refusal.Problem, context.RequestServices.GetRequiredService<IStringLocalizer<Texts>>());
        }
    }

    private static Task<IResult> DownloadAsync(Guid id, HttpContext context, ApiClient api) => PassAsync(context, api, HttpMethod.Get, $"api/documents/{id}/content", "document");

    private static Task<IResult> MemoriesAsync(HttpContext context, ApiClient api) => PassAsync(context, api, HttpMethod.Post, "api/memories/export", "agentflow-memories.json");

    private static Task<IResult> AccountAsync(HttpContext context, ApiClient api) => PassAsync(context, api, HttpMethod.Get, "api/auth/me/export", "agentflow-account.json");

    /// <summary>An answer of the API as a download: whatever was uploaded is never shown as a page of this origin.</summary>
    private static async Task<IResult> PassAsync(HttpContext context, ApiClient api, HttpMethod method, string path, string name)
    {
        try
        {
            var response = await api.OpenAsync(() => ApiClient.Streaming(method, path), context.RequestAborted);
            context.Response.RegisterForDispose(response);
            var given = response.Content.Headers.ContentDisposition;
            return TypedResults.Stream(
                await response.Content.ReadAsStreamAsync(context.RequestAborted), "application/octet-stream", given?.FileNameStar ?? given?.FileName?.Trim('"') ?? name);
        }
        catch (ApiException refusal)
        {
            return Refuse(refusal.Problem, context.RequestServices.GetRequiredService<IStringLocalizer<Texts>>());
        }
    }

    private static Task<IResult> ExportAsync(Guid id, HttpContext context, ApiClient api) =>
        PassAsync(context, api, HttpMethod.Get, $"api/chat/{id}/export?format=markdown", $"conversation-{id}.md");

    private static async Task<bool> IsOwnPageAsync(HttpContext context, IAntiforgery antiforgery) =>
        context.Request.Headers.ContainsKey("RequestVerificationToken") && await antiforgery.IsRequestValidAsync(context);

    private static HttpRequestMessage Forward(HttpRequest request)
    {
        var forwarded = ApiClient.Streaming(HttpMethod.Post, "api/documents");
        forwarded.Content = new StreamContent(request.Body);
        forwarded.Content.Headers.TryAddWithoutValidation("Content-Type", request.ContentType);
        forwarded.Content.Headers.ContentLength = request.ContentLength;
        if (request.Headers["Idempotency-Key"] is [{ } key])
            forwarded.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        return forwarded;
    }

    private static IResult Refuse(ApiProblem problem, IStringLocalizer texts) =>
        Problem.Result(problem.Status is 0 ? (int)HttpStatusCode.BadGateway : problem.Status, problem.Code, texts.Explain(problem));
}
