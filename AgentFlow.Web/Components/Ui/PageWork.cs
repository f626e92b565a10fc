using AgentFlow.Web.Api;

namespace AgentFlow.Web.Components.Ui;

/// <summary>What a page does with the API: one thing after the other, the last refusal kept to be shown.</summary>
internal sealed class PageWork
{
    public ApiProblem? Problem { get; private set; }

    public bool IsBusy { get; private set; }

    /// <returns>False when the API refused.</returns>
    public async Task<bool> RunAsync(Func<Task> work)
    {
        (Problem, IsBusy) = (null, true);
        try
        {
            await work();
            return true;
        }
        catch (ApiException refusal)
        {
            Problem = refusal.Problem;
            return false;
        }
        finally
        {
            IsBusy = false;
        }
    }

    public void Dismiss() => Problem = null;
}
