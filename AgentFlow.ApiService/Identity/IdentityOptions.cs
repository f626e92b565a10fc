using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Identity;

internal enum RegistrationMode
{
    /// <summary>Nobody, after the first account; administrators can still invite by switching to invite.</summary>
    Closed,

    /// <summary>With an invite token.</summary>
    Invite,

    /// <summary>Anybody.</summary>
    Open,
}

/// <summary>Accounts and sign-in. Section <c>Auth</c>, beside <c>Auth:Keys</c> (see the key ring).</summary>
internal sealed class IdentityOptions : IValidatableObject
{
    public const string Section = "Auth";

    private const int MinSetupTokenLength = 16;

    /// <summary>
    /// What the first account must show; at least 16 characters, no default. The local AppHost generates and prints one. While there is no
    /// account a start without it is refused; <c>user create-admin</c> on the server makes the first account without it.
    /// </summary>
    public string? SetupToken { get; set; }

    /// <summary>closed (default), invite or open.</summary>
    public RegistrationMode Registration { get; set; } = RegistrationMode.Closed;

    /// <summary>Default 15 min, 1 min to 1 h. Signing out takes effect at once all the same.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "01:00:00")]
    public TimeSpan AccessTokenLifetime { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>A sign-in ends this long after it, however much it is used. Default 30 d, 1 h to 365 d.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    public TimeSpan SessionLifetime { get; set; } = TimeSpan.FromDays(30);

    /// <summary>A sign-in that is not used for this long ends. Default 7 d, 1 h to 365 d.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "365.00:00:00")]
    public TimeSpan SessionIdleLifetime { get; set; } = TimeSpan.FromDays(7);

    /// <summary>
    /// How long a client that lost the answer to a refresh may repeat it with the same Idempotency-Key. Default 10 s, 0 to 1 min. Any other
    /// use of a spent token ends the whole sign-in, since the token must be in two hands.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:01:00")]
    public TimeSpan RefreshRepeatWindow { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Default 7 d, 1 h to 90 d.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "90.00:00:00")]
    public TimeSpan InviteLifetime { get; set; } = TimeSpan.FromDays(7);

    /// <summary>API keys of one account. Default 50, 1 to 1,000.</summary>
    [Range(1, 1_000)]
    public int MaxApiKeysPerUser { get; set; } = 50;

    /// <summary>
    /// Passwords hashed at the same time; each costs about 80 ms of one processor. Default 1, 1 to 64: guessing takes one core of us at most.
    /// </summary>
    [Range(1, 64)]
    public int MaxConcurrentHashes { get; set; } = 1;

    /// <summary>
    /// Sign-ins that may wait for a free hasher before 429 is answered. Default 32, 1 to 1,000. As many again may wait who are known: signed in,
    /// or at an address where the account has signed in before.
    /// </summary>
    [Range(1, 1_000)]
    public int MaxWaitingHashes { get; set; } = 32;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (SetupToken is { } token && (token.Length < MinSetupTokenLength || token.Distinct().Count() < 8 || token.Contains("change", StringComparison.OrdinalIgnoreCase)
            || token.Contains("example", StringComparison.OrdinalIgnoreCase)))
        {
            yield return new ValidationResult(
                $"The token is short, repetitive or an example. Set at least {MinSetupTokenLength} random characters, for example $(openssl rand -hex 16).", [nameof(SetupToken)]);
        }
    }
}
