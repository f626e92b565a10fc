using System.Net;
using System.Runtime.CompilerServices;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.Api;

/// <summary>
/// The events of one run, each exactly once and in order, over as many connections as it takes: a lost one is resumed with
/// <c>Last-Event-ID</c>, and a start whose answer never came is sent again with the same <c>Idempotency-Key</c>, which attaches to the run
/// that the first try may have made. Gives up after <see cref="GiveUpAfter"/> without an event.
/// </summary>
internal sealed class RunStream(ApiClient api, TimeProvider time)
{
    /// <summary>A restart of the API with migrations takes seconds; ten minutes cover a reboot of its machine.</summary>
    public static readonly TimeSpan GiveUpAfter = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(45);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    /// <summary>Starts a run and follows it to its end.</summary>
    /// <param name="connected">Told false when the connection is lost and true when it is back.</param>
    /// <exception cref="ApiException">The API refused to start the run, or stayed away too long.</exception>
    public IAsyncEnumerable<RunEvent> StartAsync(ChatRequest request, Action<bool> connected, CancellationToken cancellationToken)
    {
        var key = Guid.CreateVersion7().ToString("N");
        return FollowAsync(() => ApiClient.Streaming(HttpMethod.Post, "api/chat", request, key), null, 0, connected, cancellationToken);
    }

    /// <summary>Follows a run that somebody else started, or that this page followed before a reload.</summary>
    /// <param name="after">Sequence number of the last event that is already known; 0 for all.</param>
    public IAsyncEnumerable<RunEvent> AttachAsync(RunId run, long after, Action<bool> connected, CancellationToken cancellationToken) =>
        FollowAsync(() => Resume(run, 0), run, after, connected, cancellationToken);

    private async IAsyncEnumerable<RunEvent> FollowAsync(
        Func<HttpRequestMessage> start, RunId? run, long last, Action<bool> connected, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var heard = time.GetTimestamp();
        var pause = FirstPause;
        while (true)
        {
            var request = run is { } known && last > 0 ? ResumeAfter(known, last) : start;
            await using var connection = new Connection(api, time);
            var opened = await connection.OpenAsync(request, isStart: run is null, cancellationToken);
            if (opened is Opening.NothingMore)
                yield break;
            if (opened is Opening.Open)
                connected(true);
            while (opened is Opening.Open && await connection.NextAsync(cancellationToken) is { } next)
            {
                run = next.RunId;
                heard = time.GetTimestamp();
                pause = FirstPause;
                if (next.Seq <= last)
                    continue;
                last = next.Seq;
                yield return next;
                if (next.IsTerminal)
                    yield break;
            }

            if (time.GetElapsedTime(heard) > GiveUpAfter)
                throw new ApiException(ApiProblem.Unreachable);
            connected(false);
            await Task.Delay(pause, time, cancellationToken);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private static Func<HttpRequestMessage> ResumeAfter(RunId run, long after) => () => Resume(run, after);

    private static HttpRequestMessage Resume(RunId run, long after)
    {
        var request = ApiClient.Streaming(HttpMethod.Get, $"api/runs/{run}/events");
        if (after > 0)
            request.Headers.TryAddWithoutValidation("Last-Event-ID", $"{run}.{after}");
        return request;
    }

    private enum Opening
    {
        Open,
        Lost,
        NothingMore,
    }

    /// <summary>One try: opens a stream and reads from it until it breaks. A refusal that waiting can not cure is thrown.</summary>
    private sealed class Connection(ApiClient api, TimeProvider time) : IAsyncDisposable
    {
        private HttpResponseMessage? _response;
        private IAsyncEnumerator<RunEvent>? _events;

        /// <param name="isStart">A limit that a new question met is told at once; a run that goes on is waited for.</param>
        public async Task<Opening> OpenAsync(Func<HttpRequestMessage> request, bool isStart, CancellationToken cancellationToken)
        {
            try
            {
                _response = await api.OpenAsync(request, cancellationToken);
                if (_response.StatusCode is HttpStatusCode.NoContent)
                    return Opening.NothingMore;
                var body = await _response.Content.ReadAsStreamAsync(cancellationToken);
                _events = RunEventReader.ReadAsync(new IdleTimeoutStream(body, Silence, time), cancellationToken).GetAsyncEnumerator(cancellationToken);
                return Opening.Open;
            }
            catch (ApiException refusal) when (refusal.Problem.IsPassing && !(isStart && refusal.Problem.Status is StatusCodes.Status429TooManyRequests))
            {
                return Opening.Lost;
            }
            catch (Exception fault) when (ApiClient.IsConnectionFault(fault, cancellationToken))
            {
                return Opening.Lost;
            }
        }

        public async Task<RunEvent?> NextAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await _events!.MoveNextAsync() ? _events.Current : null;
            }
            catch (Exception fault) when (ApiClient.IsConnectionFault(fault, cancellationToken))
            {
                return null;
            }
            catch (JsonException fault)
            {
                // Asking again would bring the same event.
                throw new ApiException(new ApiProblem(200, "unreadable", "AgentFlow's API sent an event that could not be read. Load the page anew."), fault);
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (_events is not null)
                await _events.DisposeAsync();
            _response?.Dispose();
        }
    }
}
