using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.Web.Api;
using AgentFlow.Web.Sessions;

namespace AgentFlow.Web.State;

/// <summary>What the pages of one browser tab share: who is signed in, the models and agents on offer, the list of conversations. Scoped.</summary>
internal sealed class Workspace(ApiClient api, SessionAccess session)
{
    /// <summary>The list shows the newest; older ones come on request, or are found by search.</summary>
    private const int ListedConversations = 100;

    /// <summary>Every installation has one of this name.</summary>
    private const string InstallationsAgent = "default";

    private readonly Newest _listing = new();
    private Task? _loading;
    private bool _isWhole;
    private int _wanted = ListedConversations;

#pragma warning disable MA0046 // A page that is told to draw needs neither sender nor arguments.
    public event Action? Changed;
#pragma warning restore MA0046

    public UserProfile? User { get; private set; }

    public IReadOnlyList<ModelInfo> Models { get; private set; } = [];

    public string? DefaultModel { get; private set; }

    public IReadOnlyList<AgentInfo> Agents { get; private set; } = [];

    public IReadOnlyList<ConversationSummary> Conversations { get; private set; } = [];

    public bool HasMoreConversations { get; private set; }

    /// <summary>Loading all of this; the layout repeats it while it waits.</summary>
    public PageWork Work { get; } = new();

    public bool IsLoaded { get; private set; }

    public bool IsAdmin => User?.Role is UserRole.Admin;

    /// <summary>True when answers come from the built-in extractive model because no provider is configured.</summary>
    public bool IsOffline => Models.FirstOrDefault(model => model.Id == DefaultModel) is { Offline: true };

    /// <summary>Loads once per tab; later calls wait for the first.</summary>
    public Task LoadAsync(CancellationToken cancellationToken) => _loading is { IsCompleted: false } || (_loading is not null && _isWhole && !Work.IsWaiting)
        ? _loading
        : _loading = LoadAllAsync(cancellationToken);

    /// <summary>Something was said, or renamed, or deleted. Where the API is away, all is loaded as soon as it is back.</summary>
    public async Task RefreshConversationsAsync(CancellationToken cancellationToken)
    {
        // That the list came does not make up for what else did not.
        if (_loading is { IsCompleted: true } && !_isWhole)
            await LoadAsync(cancellationToken);
        else
            await Work.LoadAsync(() => ListAsync(cancellationToken));
        Changed?.Invoke();
    }

    private async Task ListAsync(CancellationToken cancellationToken)
    {
        var isNewest = _listing.Begin();
        var conversations = new List<ConversationSummary>();
        string? cursor = null;
        do
        {
            var more = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            var page = await api.GetAsync<Page<ConversationSummary>>($"api/chat?limit={ListedConversations}{more}", cancellationToken);
            conversations.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null && conversations.Count < _wanted);
        if (!isNewest())
            return;

        // One that was written in meanwhile has moved up between two pages.
        (Conversations, HasMoreConversations) = ([.. conversations.DistinctBy(conversation => conversation.Id)], cursor is not null);
        Changed?.Invoke();
    }

    public Task MoreConversationsAsync(CancellationToken cancellationToken)
    {
        _wanted += ListedConversations;
        return RefreshConversationsAsync(cancellationToken);
    }

    /// <summary>
    /// The agent that answers next: the one that was picked, else the conversation's, else the account's default, else the installation's. One that is gone is passed over;
    /// null leaves it to the API.
    /// </summary>
    public string? AgentFor(string? picked, string? conversation) => Known(picked) ?? Known(conversation) ?? Known(User?.DefaultAgent) ?? Known(InstallationsAgent);

    public async Task RefreshAgentsAsync(CancellationToken cancellationToken)
    {
        Agents = (await api.GetAsync<Page<AgentInfo>>("api/agents", cancellationToken)).Items;
        Changed?.Invoke();
    }

    public async Task RenameAsync(ConversationId id, string title, CancellationToken cancellationToken)
    {
        await api.SendAsync(HttpMethod.Patch, $"api/chat/{id}", new ConversationPatch(title), cancellationToken);
        await RefreshConversationsAsync(cancellationToken);
    }

    public async Task DeleteAsync(ConversationId id, CancellationToken cancellationToken)
    {
        await api.SendAsync(HttpMethod.Delete, $"api/chat/{id}", null, cancellationToken);
        await RefreshConversationsAsync(cancellationToken);
    }

    public async Task UpdateUserAsync(UserProfile user, CancellationToken cancellationToken)
    {
        User = user;
        await session.UpdateAsync(user, cancellationToken);
        Changed?.Invoke();
    }

    private string? Known(string? slug) => Agents.Any(agent => agent.Slug == slug) ? slug : null;

    private async Task LoadAllAsync(CancellationToken cancellationToken)
    {
        _isWhole = await Work.LoadAsync(async () =>
        {
            User = await session.UserAsync(cancellationToken);
            await ListAsync(cancellationToken);
            var models = await api.GetAsync<ModelList>("api/models", cancellationToken);
            (Models, DefaultModel) = (models.Items, models.Default);
            await RefreshAgentsAsync(cancellationToken);
        });
        IsLoaded = true;
        Changed?.Invoke();
    }
}

/// <param name="Offline">Built in: no provider, nothing leaves this machine.</param>
public sealed record ModelInfo(string Id, string Provider, bool Offline = false);

internal sealed record ModelList(IReadOnlyList<ModelInfo> Items, string? Default = null);

/// <summary>What the picker shows of an agent.</summary>
internal sealed record AgentInfo(string Slug, string? Name = null, string? Description = null)
{
    public string Title => string.IsNullOrWhiteSpace(Name) ? Slug : Name;
}
