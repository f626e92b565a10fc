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

    private readonly CancellationTokenSource _leaving = new();
    private readonly Newest _list = new();
    private List<DocumentSummary> _documents = [];
    private IReadOnlyList<DocumentHit>? _hits;
    private (DocumentId Id, int Start, int End)? _reading;
    private DocumentSummary? _deleting;
    private ApiProblem? _problem;
    private IReadOnlyList<Collection> _collections = [];
    private IReadOnlyList<string> _tags = [];
    private Collection? _collection;
    private string? _tag;
    private bool _sharing;
    private string _query = "";
    private string? _cursor;
    private bool _loaded;
    private bool _ready;
    private bool _polling;

    protected override async Task OnInitializedAsync()
    {
        if (!RendererInfo.IsInteractive)
            return;
        _ready = true;
        await LoadAsync();
    }

    public void Dispose()
    {
        _leaving.Cancel();
        _leaving.Dispose();
    }

    private async Task LoadAsync()
    {
        var isNewest = _list.Begin();
        await GuardAsync(async () =>
        {
            var page = await Api.GetAsync<Page<DocumentSummary>>(Listing(), _leaving.Token);
            var collections = await Api.GetAsync<Page<Collection>>("api/collections?limit=100", _leaving.Token);
            if (!isNewest())
                return;
            (_documents, _cursor, _collections) = ([.. page.Items], page.NextCursor, collections.Items);
            _tags = [.. _tags.Concat(_documents.SelectMany(document => document.Tags)).Distinct(StringComparer.Ordinal).Order(StringComparer.CurrentCulture).Take(MostTags)];
            _collection = _collections.FirstOrDefault(collection => collection.Id == _collection?.Id);
        });
        _loaded = true;
        if (_polling)
            return;

        // Nothing draws by itself until the last document is read, and that may take minutes.
        StateHasChanged();
        await PollAsync();
    }

    /// <summary>Follows what is being ingested until everything has come to an end.</summary>
    private async Task PollAsync()
    {
        _polling = true;
        try
        {
            using var timer = new PeriodicTimer(Poll, Time);
            while (_documents.Exists(document => IsWorking(document.Status)) && await timer.WaitForNextTickAsync(_leaving.Token))
            {
                await GuardAsync(RefreshAsync);
                StateHasChanged();
            }
        }
        catch (OperationCanceledException) when (_leaving.IsCancellationRequested)
        {
            // The page is gone.
        }

        _polling = false;
    }

    private async Task RefreshAsync()
    {
        var isNewest = _list.Follow();
        var page = await Api.GetAsync<Page<DocumentSummary>>(Listing(), _leaving.Token);
        if (!isNewest())
            return;
        var shown = page.Items.Select(document => document.Id).ToHashSet();
        _documents = [.. page.Items, .. _documents.Skip(PageSize).Where(document => !shown.Contains(document.Id))];
        _problem = null;
    }

    private Task MoreAsync() => GuardAsync(async () =>
    {
        var isNewest = _list.Begin();
        var page = await Api.GetAsync<Page<DocumentSummary>>(Listing() + "&cursor=" + Uri.EscapeDataString(_cursor ?? ""), _leaving.Token);
        if (isNewest())
            (_documents, _cursor) = ([.. _documents, .. page.Items], page.NextCursor);
    });

    private Task SearchAsync() => string.IsNullOrWhiteSpace(_query)
        ? Task.FromResult(_hits = null)
        : GuardAsync(async () =>
        {
            var found = await Api.SendAsync<DocumentSearchResponse>(
                HttpMethod.Post, "api/documents/search", new DocumentSearchRequest { Query = _query.Trim(), TopK = 20, Explain = true }, null, _leaving.Token);
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
        await GuardAsync(async () =>
            _collection = await Api.SendAsync<Collection>(HttpMethod.Post, "api/collections", new CreateCollectionRequest(name), null, _leaving.Token));
        await LoadAsync();
    }

    private async Task DeleteCollectionAsync()
    {
        if (_collection is not { } victim)
            return;
        await GuardAsync(() => Api.SendAsync(HttpMethod.Delete, $"api/collections/{victim.Id}", null, _leaving.Token));
        (_collection, _sharing) = (null, false);
        await LoadAsync();
    }

    /// <summary>Tags or collections of a document were changed.</summary>
    private Task ChangedAsync() => LoadAsync();

    private async Task CancelAsync(DocumentSummary document)
    {
        await GuardAsync(() => Api.SendAsync(HttpMethod.Post, $"api/documents/{document.Id}/cancel", null, _leaving.Token));
        await LoadAsync();
    }

    private async Task TakeOutAsync(DocumentSummary document)
    {
        await GuardAsync(() => Api.SendAsync(HttpMethod.Delete, $"api/collections/{_collection?.Id}/documents/{document.Id}", null, _leaving.Token));
        await LoadAsync();
    }

    private async Task RetryAsync(DocumentSummary document)
    {
        await GuardAsync(() => Api.SendAsync(HttpMethod.Post, $"api/documents/{document.Id}/retry", null, _leaving.Token));
        await LoadAsync();
    }

    private async Task DeleteAsync()
    {
        if (_deleting is not { } victim)
            return;
        _deleting = null;
        if (_reading?.Id == victim.Id)
            _reading = null;
        await GuardAsync(async () =>
        {
            await Api.SendAsync(HttpMethod.Delete, $"api/documents/{victim.Id}", null, _leaving.Token);
            _list.Begin();
            _documents.RemoveAll(document => document.Id == victim.Id);
        });
    }

    private async Task GuardAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (ApiException refusal)
        {
            _problem = refusal.Problem;
        }
        catch (OperationCanceledException) when (_leaving.IsCancellationRequested)
        {
            // The page is gone.
        }
    }

    private static bool IsWorking(DocumentStatus status) => status is not (DocumentStatus.Ready or DocumentStatus.Failed);

    private static string StatusClass(DocumentStatus status) => status switch
    {
        DocumentStatus.Ready => "good",
        DocumentStatus.Failed => "bad",
        _ => "working",
    };

    private static string Size(long bytes) => bytes switch
    {
        < 1_000 => $"{bytes} B",
        < 1_000_000 => $"{bytes / 1e3:0} kB",
        _ => $"{bytes / 1e6:0.0} MB",
    };

    private static string Explain(IReadOnlyDictionary<string, double>? scores) =>
        scores is null ? "" : string.Join(", ", scores.Select(part => $"{part.Key} {part.Value:0.000}"));
}
