using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Limits;

/// <summary>How much one caller may ask for. Section <c>Limits</c>. Counted per process, so that n replicas allow up to n times as much.</summary>
internal sealed class LimitOptions
{
    public const string Section = "Limits";

    /// <summary>Runs a minute and user, over all transports together. Default 30 (issue 6), 1 to 1,000,000; load tests raise it.</summary>
    [Range(1, 1_000_000)]
    public int ChatPerMinute { get; set; } = 30;

    /// <summary>All other requests a minute, of one user or one API key. Default 600: ten a second keeps a busy page served.</summary>
    [Range(1, 10_000_000)]
    public int RequestsPerMinute { get; set; } = 600;

    /// <summary>Requests a minute without a caller, of one address (an IPv6 /64 is one). Default 120.</summary>
    [Range(1, 10_000_000)]
    public int AnonymousPerMinute { get; set; } = 120;

    /// <summary>Uploads a minute and user. Default 60.</summary>
    [Range(1, 1_000_000)]
    public int UploadsPerMinute { get; set; } = 60;

    /// <summary>Wrong sign-ins of one address to one account in 15 minutes. Default 10.</summary>
    [Range(1, 1_000_000)]
    public int SignInsPerAccountAndAddress { get; set; } = 10;

    /// <summary>Wrong sign-ins of one address in 15 minutes. Default 50: people behind one router share it.</summary>
    [Range(1, 1_000_000)]
    public int SignInsPerAddress { get; set; } = 50;

    /// <summary>Wrong sign-ins to one account in 15 minutes from addresses that it was never used from. Default 100; known addresses go on.</summary>
    [Range(1, 1_000_000)]
    public int SignInsPerAccount { get; set; } = 100;

    /// <summary>Bytes of a JSON body, unless a route says otherwise. Default 64 KiB, 1 KiB to 16 MiB.</summary>
    [Range(1_024, 16 * 1_024 * 1_024)]
    public long JsonBodyBytes { get; set; } = 64 * 1_024;

    /// <summary>Bytes of a chat body. Default 1 MiB, 1 KiB to 64 MiB.</summary>
    [Range(1_024, 64 * 1_024 * 1_024)]
    public long ChatBodyBytes { get; set; } = 1_024 * 1_024;

    /// <summary>For a whole request; streams and uploads have limits of their own. Default 30 s, 1 s to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>For a whole upload. Default 10 min, 1 s to 2 h.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "02:00:00")]
    public TimeSpan UploadTimeout { get; set; } = TimeSpan.FromMinutes(10);
}
