using AgentFlow.Contracts.Runs;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;

#pragma warning disable ASP0006, MA0123 // The frames follow a parsed text, not source code: numbers that count up keep what has been drawn in place.
namespace AgentFlow.Web.Markdown;

/// <summary>
/// A text as markdown, block by block. While a text grows only its last block changes, so only that one is drawn again and sent: the cost of a
/// streamed token does not depend on the length of the answer.
/// </summary>
public sealed class MarkdownView : ComponentBase
{
    [Parameter, EditorRequired]
    public string Text { get; set; } = "";

    [Parameter]
    public IReadOnlyList<Citation> Citations { get; set; } = [];

    [Parameter]
    public LinkPolicy Links { get; set; } = LinkPolicy.None;

    [Parameter]
    public EventCallback<Citation> OnCitation { get; set; }

    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        if (MarkdownText.Parse(Text) is not { } document)
        {
            builder.OpenElement(0, "p");
            builder.AddAttribute(1, "class", "plain-text");
            builder.AddContent(2, Text);
            builder.CloseElement();
            return;
        }

        for (var i = 0; i < document.Count; i++)
        {
            builder.OpenComponent<MarkdownBlock>(10 + i);
            builder.AddComponentParameter(0, nameof(MarkdownBlock.Slice), MarkdownText.Slice(Text, document[i]));
            builder.AddComponentParameter(1, nameof(MarkdownBlock.Block), document[i]);
            builder.AddComponentParameter(2, nameof(MarkdownBlock.Citations), Citations);
            builder.AddComponentParameter(3, nameof(MarkdownBlock.Links), Links);
            builder.AddComponentParameter(4, nameof(MarkdownBlock.OnCitation), OnCitation);
            builder.CloseComponent();
        }
    }
}
