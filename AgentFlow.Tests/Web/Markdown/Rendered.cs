using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Markdown;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentFlow.Tests.Web.Markdown;

/// <summary>A text as the page shows it.</summary>
internal static class Rendered
{
    public static async Task<string> HtmlAsync(string text, IReadOnlyList<Citation>? citations = null, LinkPolicy? links = null)
    {
        await using var services = new ServiceCollection().AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance).AddLocalization().BuildServiceProvider();
        await using var renderer = new HtmlRenderer(services, NullLoggerFactory.Instance);
        return await renderer.Dispatcher.InvokeAsync(async () =>
        {
            var parameters = ParameterView.FromDictionary(new Dictionary<string, object?>
            {
                [nameof(MarkdownView.Text)] = text,
                [nameof(MarkdownView.Citations)] = citations ?? [],
                [nameof(MarkdownView.Links)] = links ?? LinkPolicy.None,
            });
            return (await renderer.RenderComponentAsync<MarkdownView>(parameters)).ToHtmlString();
        });
    }
}
