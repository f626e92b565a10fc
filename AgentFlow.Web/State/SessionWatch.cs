using AgentFlow.Contracts.Auth;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.State;

/// <summary>
/// Notices that the API has ended the session of a page that only lies open: its account was disabled or deleted, or the sign-in ended elsewhere. What
/// the page shows is no longer that person's to see.
/// </summary>
internal static class SessionWatch
{
    /// <summary>How long at most a page stays open after that, besides the few seconds that the API's own knowledge may be old. One call costs about a millisecond.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);

    /// <returns>When the session is over.</returns>
    /// <exception cref="OperationCanceledException">The page was left before.</exception>
    public static async Task UntilOverAsync(ApiClient api, TimeProvider time, CancellationToken leaving)
    {
        while (true)
        {
            await Task.Delay(Interval, time, leaving);
            try
            {
                await api.GetAsync<UserProfile>("api/auth/me", leaving);
            }
            catch (ApiException refusal) when (refusal.Problem.IsUnauthorized)
            {
                return;
            }
            catch (ApiException)
            {
                // Says nothing about the session: asked again.
            }
        }
    }
}
