using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Api;
using AgentFlow.Web.State;

namespace AgentFlow.Web.Components.Documents;

/// <summary>All documents with what is happening to them, search in their passages, and a reader beside the list.</summary>
public sealed partial class DocumentsPage
{
    private const int PageSize = 100;
    private const int MostTags = 30;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(700);

    private readonly Stay _stay = new();
    private readonly PageWork _work = new();
    private readonly PageWork _changing = new();
    private readonly PageWork _following = new();
    private readonly Newest _list = new();
    private List<DocumentSummary> _documents = [];
    private IReadOnlyList<DocumentHit>? _hits;
    private (DocumentId Id, int Start, int End)? _reading;
    private DocumentSummary? _deleting;
    private IReadOnlyList<Collection> _collections = [];
    private IReadOnlyList<string> _tags = [];
    private Collection? _collection;
    private string? _tag;
    private bool _sharing;
    private string _query = "";
    private string? _cursor;
    private bool _loaded;
    private bool _ready;

    protected override async Task OnInitializedAsync()
    {
        if (!RendererInfo.IsInteractive)
            return;
        _ready = true;
        await LoadAsync();

        // Nothing draws by itself until this method ends, and it ends with the page.
        StateHasChanged();
        await FollowAsync();
    }

    public void Dispose() => _stay.Dispose();

    private Task LoadAsync() => _work.LoadAsync(_list, async isNewest =>
    {
        var page = await Api.GetAsync<Page<DocumentSummary>>(Listing(), _stay.Leaving);
        var collections = await Api.GetAllAsync<Collection>("api/collections", _stay.Leaving);
        if (!isNewest())
            return;
        (_documents, _cursor, _collections) = ([.. page.Items], page.NextCursor, collections);
        _tags = [.. _tags.Concat(_documents.SelectMany(document => document.Tags)).Distinct(StringComparer.Ordinal).Order(StringComparer.CurrentCulture).Take(MostTags)];
        _collection = _collections.FirstOrDefault(collection => collection.Id == _collection?.Id);
        _loaded = true;
    });

    /// <summary>Follows what is being ingested for as long as the page is shown; what fails of it is asked for again with the next tick.</summary>
    private async Task FollowAsync()
    {
        try
        {
            using var timer = new PeriodicTimer(Poll, Time);
            while (await timer.WaitForNextTickAsync(_stay.Leaving))
            {
                if (!_documents.Exists(document => IsWorking(document.Status)))
                    continue;
                await _following.LoadAsync(RefreshAsync);
                StateHasChanged();
            }
        }
        catch (OperationCanceledException) when (_stay.IsOver)
        {
            // The page is gone.
        }
    }

    private async Task RefreshAsync()
    {
        var isNewest = _list.Follow();
        var page = await Api.GetAsync<Page<DocumentSummary>>(Listing(), _stay.Leaving);
        if (!isNewest())
            return;
        var shown = page.Items.Select(document => document.Id).ToHashSet();
        _documents = [.. page.Items, .. _documents.Skip(PageSize).Where(document => !shown.Contains(document.Id))];
    }

    private Task MoreAsync() => _changing.RunAsync(async () =>
    {
        var isNewest = _list.Begin();
        var page = await Api.GetAsync<Page<DocumentSummary>>(Listing() + "&cursor=" + Uri.EscapeDataString(_cursor ?? ""), _stay.Leaving);
        if (isNewest())
            (_documents, _cursor) = ([.. _documents, .. page.Items], page.NextCursor);
    });

    private Task SearchAsync() => string.IsNullOrWhiteSpace(_query)
        ? Task.FromResult(_hits = null)
        : _changing.RunAsync(async () =>
        {
            var found = await Api.SendAsync<DocumentSearchResponse>(
                HttpMethod.Post, "api/documents/search", new DocumentSearchRequest { Query = _query.Trim(), TopK = 20, Explain = true }, null, _stay.Leaving);
            _hits = found.Items;
        });

    private bool IsOwn => _collection is null or { Access: null };

    /// <summary>Into somebody else's collection a member with write access uploads, and takes out of it.</summary>
    private bool CanWrite => IsOwn || _collection is { Access: CollectionAccess.Write or CollectionAccess.Manage };

    private bool CanUpload => _ready && CanWrite;

    /// <summary>In somebody else's collection a member changes what that member has uploaded.</summary>
    private bool MayChange(DocumentSummary document) =>
        IsOwn || (CanWrite && document.UploadedBy is { } uploader && uploader.UserId == Workspace.User?.Id);

    private string Listing() =>
        $"api/documents?limit={PageSize}"
        + (_collection is { } collection ? $"&collection={collection.Id}" : "")
        + (_tag is { } tag ? "&tag=" + Uri.EscapeDataString(tag) : "");

    private async Task SelectAsync(Collection? collection)
    {
        (_collection, _sharing, _hits) = (collection, _sharing && collection is not null, null);
        await LoadAsync();
    }

    private async Task TagAsync(string tag)
    {
        _tag = _tag == tag ? null : tag;
        await LoadAsync();
    }

    private async Task CreateCollectionAsync(string name)
    {
        await _changing.RunAsync(async () =>
            _collection = await Api.SendAsync<Collection>(HttpMethod.Post, "api/collections", new CreateCollectionRequest(name), null, _stay.Leaving));
        await LoadAsync();
    }

    private async Task DeleteCollectionAsync()
    {
        if (_collection is not { } victim)
            return;
        await _changing.RunAsync(() => Api.SendAsync(HttpMethod.Delete, $"api/collections/{victim.Id}", null, _stay.Leaving));
        (_collection, _sharing) = (null, false);
        await LoadAsync();
    }

    /// <summary>Tags or collections of a document were changed.</summary>
    private Task ChangedAsync() => LoadAsync();

    private async Task CancelAsync(DocumentSummary document)
    {
        await _changing.RunAsync(() => Api.SendAsync(HttpMethod.Post, $"api/documents/{document.Id}/cancel", null, _stay.Leaving));
        await LoadAsync();
    }

    private async Task TakeOutAsync(DocumentSummary document)
    {
        await _changing.RunAsync(() => Api.SendAsync(HttpMethod.Delete, $"api/collections/{_collection?.Id}/documents/{document.Id}", null, _stay.Leaving));
        await LoadAsync();
    }

    private async Task RetryAsync(DocumentSummary document)
    {
        await _changing.RunAsync(() => Api.SendAsync(HttpMethod.Post, $"api/documents/{document.Id}/retry", null, _stay.Leaving));
        await LoadAsync();
    }

    private async Task DeleteAsync()
    {
        if (_deleting is not { } victim)
            return;
        _deleting = null;
        if (_reading?.Id == victim.Id)
            _reading = null;
        await _changing.RunAsync(async () =>
        {
            await Api.SendAsync(HttpMethod.Delete, $"api/documents/{victim.Id}", null, _stay.Leaving);
            _list.Begin();
            _documents.RemoveAll(document => document.Id == victim.Id);
        });
    }

    private static bool IsWorking(DocumentStatus status) => status is not (DocumentStatus.Ready or DocumentStatus.Failed);

    private static string StatusClass(DocumentStatus status) => status switch
    {
        DocumentStatus.Ready => "good",
        DocumentStatus.Failed => "bad",
        _ => "working",
    };

    private static string Explain(IReadOnlyDictionary<string, double>? scores) =>
        scores is null ? "" : string.Join(", ", scores.Select(part => $"{part.Key} {part.Value:0.000}"));
}
