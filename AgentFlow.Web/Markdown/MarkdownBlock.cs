using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Resources;
using Markdig.Syntax;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;
using Microsoft.Extensions.Localization;

namespace AgentFlow.Web.Markdown;

/// <summary>One top-level block; drawn again only when its own source or the passages it cites have changed.</summary>
internal sealed class MarkdownBlock : ComponentBase
{
    private string? _drawnSlice;
    private int _drawnCitations = -1;
    private readonly Dictionary<int, EventCallback> _chips = [];

    [Inject]
    private IStringLocalizer<Texts> Localizer { get; set; } = default!;

    /// <summary>The block's source; what decides whether it is drawn again.</summary>
    [Parameter, EditorRequired]
    public string Slice { get; set; } = "";

    [Parameter, EditorRequired]
    public Block Block { get; set; } = default!;

    [Parameter]
    public IReadOnlyList<Citation> Citations { get; set; } = [];

    [Parameter]
    public LinkPolicy Links { get; set; } = LinkPolicy.None;

    [Parameter]
    public EventCallback<Citation> OnCitation { get; set; }

    protected override bool ShouldRender() => Slice != _drawnSlice || (Citations.Count != _drawnCitations && Slice.Contains('[', StringComparison.Ordinal));

    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        _drawnSlice = Slice;
        _drawnCitations = Citations.Count;
        new MarkdownRenderer(builder, Localizer, Citations, Links, OnChip).Write(Block);
    }

    /// <summary>One and the same handler for a chip as long as it stands: another one would be sent to the browser with every word.</summary>
    private EventCallback OnChip(Citation citation)
    {
        if (!_chips.TryGetValue(citation.Index, out var handler))
            _chips[citation.Index] = handler = EventCallback.Factory.Create(this, () => OnCitation.InvokeAsync(citation));
        return handler;
    }
}
