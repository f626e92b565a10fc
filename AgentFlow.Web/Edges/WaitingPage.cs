using System.Net;
using AgentFlow.Web.Resources;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Edges;

/// <summary>What a browser sees while the API is away: says so, and asks again by itself until it is back.</summary>
internal static class WaitingPage
{
    private const int RetrySeconds = 2;

    public static Task WriteAsync(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        context.Response.Headers.RetryAfter = RetrySeconds.ToString();
        context.Response.Headers["Refresh"] = RetrySeconds.ToString();
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentType = "text/html; charset=utf-8";
        return context.Response.WriteAsync(Html(context.RequestServices.GetRequiredService<IStringLocalizer<Texts>>()), context.RequestAborted);
    }

    private static string Html(IStringLocalizer texts)
    {
        string Say(string text) => WebUtility.HtmlEncode(texts[text]);
        return $"""
            <!DOCTYPE html>
            <html lang="en" data-theme="system">
            <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{Say("Starting")} · AgentFlow</title>
            <link rel="stylesheet" href="/tokens.css"><link rel="stylesheet" href="/app.css"></head>
            <body><main class="plain"><section class="card plain-card" role="status"><h1>{Say("AgentFlow is starting")}</h1>
            <p class="soft"><span class="spinner" aria-hidden="true"></span> {Say("Its API does not answer yet. This page loads again by itself; you stay signed in.")}</p></section></main></body>
            </html>
            """;
    }
}
