using AgentFlow.ApiService.Identity;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Limits;

/// <summary>Which bucket a route counts against; <see cref="General"/> where it says nothing.</summary>
internal enum LimitKind
{
    General,

    /// <summary>Starting a run, whatever the transport.</summary>
    Chat,
    Upload,

    /// <summary>Not counted here: health, and what meters itself.</summary>
    None,
}

/// <summary>Route metadata.</summary>
internal sealed record LimitedAs(LimitKind Kind);

/// <summary>The buckets of this process. Thread-safe.</summary>
internal sealed class CallerLimits(IOptions<LimitOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly RateQuota general = new(options.Value.RequestsPerMinute, Minute, time);
    private readonly RateQuota anonymous = new(options.Value.AnonymousPerMinute, Minute, time);
    private readonly RateQuota chat = new(options.Value.ChatPerMinute, Minute, time);
    private readonly RateQuota upload = new(options.Value.UploadsPerMinute, Minute, time);

    public (string Name, RateQuota Quota, string Partition) BucketOf(LimitKind kind, Caller? caller, string address) => caller is not { } known
        ? ("anonymous", anonymous, address)
        : kind switch
        {
            // Runs cost the account, so all its sessions and keys share one bucket.
            LimitKind.Chat => ("chat", chat, known.Owner.ToString()),
            LimitKind.Upload => ("upload", upload, known.Owner.ToString()),
            _ => ("general", general, known.LimitKey),
        };

    /// <summary>For transports that start runs without a request of their own each, such as WebSocket frames.</summary>
    /// <exception cref="ProblemException">429 with the time to wait.</exception>
    public void TakeRun(Caller caller)
    {
        var state = chat.Take(caller.Owner.ToString());
        if (!state.Taken)
        {
            throw new ProblemException(StatusCodes.Status429TooManyRequests, "quota_exceeded", "Too many runs at once.") { RetryAfter = state.RetryAfter };
        }
    }

    internal int Partitions => general.Partitions + anonymous.Partitions + chat.Partitions + upload.Partitions;
}
