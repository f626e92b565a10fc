namespace AgentFlow.Web.State;

/// <summary>Of several answers to the same request on one page, lets only the last one count: an older one may come in after it.</summary>
internal sealed class Newest
{
    private int _begun;

    /// <returns>Says whether what was begun now is still the newest.</returns>
    public Func<bool> Begin()
    {
        var mine = ++_begun;
        return () => mine == _begun;
    }

    /// <summary>The same for what only follows what was begun: it makes nothing else outdated.</summary>
    public Func<bool> Follow()
    {
        var newest = _begun;
        return () => newest == _begun;
    }
}
