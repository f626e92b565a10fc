using System.Net;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>
/// Requests made from the API's own description and then spoiled. Seeded: a failure prints what was sent. The long run, with a process
/// whose memory is looked at, is <c>soak mutations</c> of the benchmarks.
/// </summary>
public sealed class MutationTests(FullHost full) : IClassFixture<FullHost>
{
    private const int Seed = 20_261_121;
    private const int Count = 1_500;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_spoiled_request_is_answered_with_a_failure_of_ours()
    {
        var user = await full.Api.RegisterAsync("mutant");
        var document = JsonElement.Parse(await user.Client.GetStringAsync("/openapi/v1.json", Ct));

        // Not what would end this session, and no streams.
        var mutations = new RequestMutations(document, Seed, path => !path.Contains("/auth/log", StringComparison.Ordinal) && !path.Contains("/auth/re", StringComparison.Ordinal)
            && !path.EndsWith("/events", StringComparison.Ordinal) && path is not ("/api/auth/password" or "/api/auth/me/erase"));
        var failures = new List<string>();
        for (var i = 0; i < Count && failures.Count < 20; i++)
        {
            var mutation = mutations.Next();
            using var request = mutation.ToRequest();
            request.Headers.Add(RouteCoverage.NotCounted, "1");
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
                limit.CancelAfter(Patience.Limit);
                using var response = await user.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
                if ((int)response.StatusCode is >= 500 and not (502 or 503 or 504 or 507))
                {
                    failures.Add($"{i}: {mutation} -> {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(limit.Token)}");
                }
            }
            catch (Exception error) when (error is HttpRequestException or OperationCanceledException or UriFormatException && !Ct.IsCancellationRequested)
            {
                failures.Add($"{i}: {mutation} -> {error.GetType().Name}");
            }
        }

        Assert.True(failures.Count == 0, string.Join(Environment.NewLine, failures));
        Assert.Equal(HttpStatusCode.OK, (await user.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }
}
