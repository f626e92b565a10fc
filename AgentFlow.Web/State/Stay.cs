namespace AgentFlow.Web.State;

/// <summary>
/// How long a page is shown. Its token may be asked for after the page is gone as well, as what is still going on then does: that of a disposed
/// source throws, which a page shown by then would have to answer for.
/// </summary>
internal sealed class Stay : IDisposable
{
    private readonly CancellationTokenSource _end = new();

    public Stay() => Leaving = _end.Token;

    /// <summary>Cancelled when the page is left.</summary>
    public CancellationToken Leaving { get; }

    public bool IsOver => Leaving.IsCancellationRequested;

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
    }
}
