using AgentFlow.Web.Api;

namespace AgentFlow.Web.State;

/// <summary>
/// What a page does with the API, the last refusal kept to be shown. What a person asked for is tried once. A load that fails for a reason that
/// waiting cures is done again, with growing pauses, for as long as the page shows its <c>ProblemNotice</c>, which calls <see cref="HealAsync"/>.
/// Runs on the page's dispatcher, so it needs no lock.
/// </summary>
public sealed class PageWork
{
    /// <summary>A restart of the API takes seconds.</summary>
    public static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500);

    /// <summary>So that a person who looks again after an outage finds the page whole, or sees it become so.</summary>
    public static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <summary>The longest that an answer may tell this page to wait.</summary>
    private static readonly TimeSpan LongestWish = TimeSpan.FromMinutes(1);

    private int _going;
    private bool _isOfLoad;

    public ApiProblem? Problem { get; private set; }

    public bool IsBusy => _going > 0;

    /// <summary>True from a load's failure that waiting cures until a load succeeds, or is refused for good.</summary>
    public bool IsWaiting { get; private set; }

    /// <summary>Does once what a person asked for.</summary>
    /// <returns>False when the API refused.</returns>
    public Task<bool> RunAsync(Func<Task> work)
    {
        Problem = null;
        return DoAsync(work, isLoad: false);
    }

    /// <summary>Loads what the page shows. What a person asked for and was refused stays said meanwhile, and so does why the last load failed.</summary>
    /// <returns>False when the API refused, or could not be reached: see <see cref="IsWaiting"/>.</returns>
    public Task<bool> LoadAsync(Func<Task> load) => DoAsync(load, isLoad: true);

    /// <summary>
    /// The same where another load may overtake this one. What is overtaken counts for nothing, however it ends: the newer one may still wait to be repeated.
    /// </summary>
    /// <param name="loads">All loads of the same thing.</param>
    /// <param name="load">Is told how to ask whether it is still the newest, and shows nothing if not.</param>
    internal Task<bool> LoadAsync(Newest loads, Func<Func<bool>, Task> load)
    {
        var isNewest = loads.Begin();
        return DoAsync(() => load(isNewest), isLoad: true, isNewest);
    }

    /// <summary>Repeats a load that waits, until it does so no more.</summary>
    /// <param name="repeat">Calls <see cref="LoadAsync"/>.</param>
    /// <param name="leaving">The page is left.</param>
    public async Task HealAsync(Func<Task> repeat, TimeProvider time, CancellationToken leaving)
    {
        for (var pause = FirstPause; IsWaiting; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            await Task.Delay(Wished() is { } wished && wished > pause ? wished : pause, time, leaving);

            // The person may have tried again meanwhile.
            if (IsWaiting)
                await repeat();
        }
    }

    public void Dismiss() => Problem = null;

    private async Task<bool> DoAsync(Func<Task> work, bool isLoad, Func<bool>? counts = null)
    {
        _going++;
        try
        {
            await work();
        }
        catch (ApiException) when (counts?.Invoke() is false)
        {
            return false;
        }
        catch (ApiException refusal)
        {
            (Problem, _isOfLoad) = (refusal.Problem, isLoad);
            if (isLoad)
                IsWaiting = refusal.Problem.IsPassing;
            return false;
        }
        finally
        {
            _going--;
        }

        if (!isLoad || counts?.Invoke() is false)
            return true;
        IsWaiting = false;
        if (_isOfLoad)
            Problem = null;
        return true;
    }

    private TimeSpan? Wished() => Problem?.RetryAfter is { } wish ? wish < LongestWish ? wish : LongestWish : null;
}
