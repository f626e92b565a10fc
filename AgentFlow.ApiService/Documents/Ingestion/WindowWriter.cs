namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Stores the windows of one document in their order, each while the next is read, chunked and embedded: the database and this process work
/// at the same time. At most one is on its way.
/// </summary>
internal sealed class WindowWriter(IngestStore store, IngestJob job)
{
    private Task<bool> _last = Task.FromResult(true);

    /// <returns>False: the document went away, as the window before found out.</returns>
    public async Task<bool> AddAsync(StagedWindow window, CancellationToken ct)
    {
        if (!await _last)
            return false;

        // The batch is built before the first wait; nothing of the window is touched by two.
        _last = store.AddWindowAsync(job, window, ct);
        return true;
    }

    /// <returns>False: the document went away.</returns>
    public Task<bool> EndAsync() => _last;
}
