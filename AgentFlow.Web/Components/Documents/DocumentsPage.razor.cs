using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.Components.Documents;

/// <summary>All documents with what is happening to them, search in their passages, and a reader beside the list.</summary>
public sealed partial class DocumentsPage
{
    private const int PageSize = 100;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(700);

    private readonly CancellationTokenSource _leaving = new();
    private List<DocumentSummary> _documents = [];
    private IReadOnlyList<DocumentHit>? _hits;
    private (DocumentId Id, int Start, int End)? _reading;
    private DocumentSummary? _deleting;
    private ApiProblem? _problem;
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
        await GuardAsync(async () =>
        {
            var page = await Api.GetAsync<Page<DocumentSummary>>($"api/documents?limit={PageSize}", _leaving.Token);
            (_documents, _cursor) = ([.. page.Items], page.NextCursor);
        });
        _loaded = true;
        if (!_polling)
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
        var page = await Api.GetAsync<Page<DocumentSummary>>($"api/documents?limit={PageSize}", _leaving.Token);
        var shown = page.Items.Select(document => document.Id).ToHashSet();
        _documents = [.. page.Items, .. _documents.Skip(PageSize).Where(document => !shown.Contains(document.Id))];
        _problem = null;
    }

    private Task MoreAsync() => GuardAsync(async () =>
    {
        var page = await Api.GetAsync<Page<DocumentSummary>>($"api/documents?limit={PageSize}&cursor={Uri.EscapeDataString(_cursor ?? "")}", _leaving.Token);
        _documents = [.. _documents, .. page.Items];
        _cursor = page.NextCursor;
    });

    private Task SearchAsync() => string.IsNullOrWhiteSpace(_query)
        ? Task.FromResult(_hits = null)
        : GuardAsync(async () =>
        {
            var found = await Api.SendAsync<DocumentSearchResponse>(
                HttpMethod.Post, "api/documents/search", new DocumentSearchRequest { Query = _query.Trim(), TopK = 20, Explain = true }, null, _leaving.Token);
            _hits = found.Items;
        });

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
