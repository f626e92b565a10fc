using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Web.Api;
using AgentFlow.Web.State;

namespace AgentFlow.Web.Components.Memory;

/// <summary>What is remembered about the signed-in person: list, search with its reasons, add, change, forget, history.</summary>
public sealed partial class MemoriesPage
{
    private readonly PageWork _work = new();
    private readonly Newest _list = new();
    private List<MemoryItem>? _memories;
    private IReadOnlyList<string>? _degraded;
    private string _tab = "all";
    private bool _superseded;
    private MemoryItem? _deleting;
    private MemoryItem? _open;
    private MemoryId? _editing;
    private string _query = "";
    private string _new = "";
    private string _edited = "";
    private string? _cursor;
    private bool _isSearch;
    private bool _searched;
    private bool _ready;

    private static readonly (string Name, string Title)[] Tabs = [("all", "Remembered"), ("review", "Waiting for your word"), ("data", "Export and forget")];

    private string Listing => "api/memories?limit=100" + (_superseded ? "&superseded=true" : "");

    protected override async Task OnInitializedAsync()
    {
        if (!RendererInfo.IsInteractive)
            return;
        _ready = true;
        await LoadAsync();
    }

    private async Task SelectAsync(string tab)
    {
        (_tab, _open) = (tab, null);
        if (tab is "all")
            await LoadAsync();
    }

    private Task HistoryAsync(bool superseded)
    {
        _superseded = superseded;
        return LoadAsync();
    }

    /// <summary>What was asked for last.</summary>
    private Task AgainAsync() => _isSearch ? SearchAsync() : LoadAsync();

    private Task LoadAsync() => _work.LoadAsync(_list, async isNewest =>
    {
        _isSearch = false;
        var page = await Api.GetAsync<Page<MemoryItem>>(Listing, CancellationToken.None);
        if (isNewest())
            (_memories, _cursor, _searched, _degraded) = ([.. page.Items], page.NextCursor, false, null);
    });

    private Task MoreAsync() => _work.RunAsync(async () =>
    {
        var isNewest = _list.Begin();
        var page = await Api.GetAsync<Page<MemoryItem>>(Listing + "&cursor=" + Uri.EscapeDataString(_cursor ?? ""), CancellationToken.None);
        if (!isNewest())
            return;
        _memories?.AddRange(page.Items);
        _cursor = page.NextCursor;
    });

    private Task SearchAsync() => string.IsNullOrWhiteSpace(_query) ? LoadAsync() : _work.LoadAsync(_list, async isNewest =>
    {
        _isSearch = true;
        var found = await Api.SendAsync<SearchMemoriesResponse>(
            HttpMethod.Post, "api/memories/search", new { query = _query.Trim(), topK = 50, explain = true }, null, CancellationToken.None);
        if (isNewest())
            (_memories, _cursor, _searched, _degraded) = ([.. found.Items], null, true, found.Degraded);
    });

    private async Task AddAsync()
    {
        if (string.IsNullOrWhiteSpace(_new))
            return;
        var added = await _work.RunAsync(() => Api.SendAsync<AddMemoryResponse>(
            HttpMethod.Post, "api/memories", new { text = _new.Trim(), infer = false }, Guid.CreateVersion7().ToString("N"), CancellationToken.None));
        if (!added)
            return;
        _new = "";
        await LoadAsync();
    }

    private async Task SaveAsync()
    {
        if (_editing is not { } id)
            return;
        if (!await _work.RunAsync(() => Api.SendAsync(HttpMethod.Patch, $"api/memories/{id}", new MemoryPatch { Text = _edited.Trim() }, CancellationToken.None)))
            return;
        _editing = null;
        await LoadAsync();
    }

    private async Task DeleteAsync()
    {
        if (_deleting is not { } victim)
            return;
        _deleting = null;
        await _work.RunAsync(async () =>
        {
            await Api.SendAsync(HttpMethod.Delete, $"api/memories/{victim.Id}", null, CancellationToken.None);
            _list.Begin();
            _memories?.RemoveAll(memory => memory.Id == victim.Id);
            if (_open?.Id == victim.Id)
                _open = null;
        });
    }

    private string ScopeOf(MemoryItem memory) => memory switch
    {
        { SessionId: not null } => L["From single conversations"],
        { AgentId: { } agent } => L["For the agent {0}", agent],
        { AppId: { } app } => L["For {0}", app],
        _ => L["About you"],
    };

    private static string TrustOf(MemoryTrust trust) => trust switch
    {
        MemoryTrust.User => "you said it",
        MemoryTrust.Inferred => "concluded from what you said",
        _ => "from a document or tool",
    };
}
