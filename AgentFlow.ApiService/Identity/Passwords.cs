using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// PBKDF2-HMAC-SHA512 with 220,000 rounds, the count of OWASP's password storage sheet (2026-11): about 80 ms of one core, so the number
/// that runs or waits at a time is bounded. Thread-safe.
/// </summary>
/// <remarks>Stored form: <c>$pbkdf2-sha512$i=220000$&lt;16 bytes&gt;$&lt;64 bytes&gt;</c>, base64.</remarks>
internal sealed class Passwords : IDisposable
{
    public const int Iterations = 220_000;
    public const int MinLength = 12;

    /// <summary>UTF-8; longer input only costs us time.</summary>
    public const int MaxBytes = 1_024;

    private const string Scheme = "pbkdf2-sha512";
    private const int SaltBytes = 16;
    private const int HashBytes = 64;
    private const int MinDistinct = 4;

    private readonly SemaphoreSlim running;
    private readonly int maxWaiting;
    private readonly string nobody = Format(Iterations, RandomNumberGenerator.GetBytes(SaltBytes), RandomNumberGenerator.GetBytes(HashBytes));
    private int waiting;

    public Passwords(IOptions<IdentityOptions> options)
    {
        running = new SemaphoreSlim(options.Value.MaxConcurrentHashes);
        maxWaiting = options.Value.MaxWaitingHashes;
    }

    /// <summary>Why a new password is refused, or null. Length only, no composition rules (ASVS 5.0, 6.2).</summary>
    public static string? Problem(string password, string email) =>
        Encoding.UTF8.GetByteCount(password) > MaxBytes ? $"A password has at most {MaxBytes} bytes."
        : password.EnumerateRunes().Count() < MinLength ? $"A password has at least {MinLength} characters."
        : password.Contains('\0', StringComparison.Ordinal) ? "A password has no NUL characters."
        : password.Distinct().Count() < MinDistinct ? "A password is not one pattern repeated."
        : string.Equals(password, email, StringComparison.OrdinalIgnoreCase) ? "A password is not the e-mail address."
        : null;

    /// <param name="isKnown">Whether this is for somebody who is known already; strangers find half of the queue only.</param>
    /// <exception cref="ProblemException">429: too many are waiting already.</exception>
    public Task<string> HashAsync(string password, bool isKnown, CancellationToken ct) =>
        InTurnAsync(() => Hash(password, Iterations), isKnown, ct);

    /// <summary>Compares in constant time. For an account that does not exist pass null: it costs the same.</summary>
    /// <param name="isKnown">Whether the account is signed in or has been used from this address; strangers find half of the queue only.</param>
    /// <exception cref="ProblemException">429: too many are waiting already.</exception>
    public async Task<PasswordVerdict> VerifyAsync(string password, string? stored, bool isKnown, CancellationToken ct)
    {
        if (Encoding.UTF8.GetByteCount(password) > MaxBytes)
        {
            return PasswordVerdict.Wrong;
        }

        var matches = await InTurnAsync(() => Matches(password, stored ?? nobody), isKnown, ct);
        return stored is null || !matches ? PasswordVerdict.Wrong
            : Parse(stored).Iterations < Iterations ? PasswordVerdict.RightButOld
            : PasswordVerdict.Right;
    }

    public void Dispose() => running.Dispose();

    internal static string Hash(string password, int iterations)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        return Format(iterations, salt, Derive(password, salt, iterations));
    }

    private async Task<T> InTurnAsync<T>(Func<T> work, bool isKnown, CancellationToken ct)
    {
        if (Interlocked.Increment(ref waiting) > (isKnown ? 2 * maxWaiting : maxWaiting))
        {
            Interlocked.Decrement(ref waiting);
            throw new ProblemException(StatusCodes.Status429TooManyRequests, "too_many_sign_ins", "Too many people sign in at this moment. Try again.") { RetryAfter = TimeSpan.FromSeconds(2) };
        }

        try
        {
            await running.WaitAsync(ct);
        }
        finally
        {
            Interlocked.Decrement(ref waiting);
        }

        try
        {
            return await Task.Run(work, ct);
        }
        finally
        {
            running.Release();
        }
    }

    private static bool Matches(string password, string stored)
    {
        var (iterations, salt, hash) = Parse(stored);
        return CryptographicOperations.FixedTimeEquals(hash, Derive(password, salt, iterations));
    }

    private static byte[] Derive(string password, byte[] salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, iterations, HashAlgorithmName.SHA512, HashBytes);

    private static string Format(int iterations, byte[] salt, byte[] hash) =>
        $"${Scheme}$i={iterations}${Convert.ToBase64String(salt)}${Convert.ToBase64String(hash)}";

    private static (int Iterations, byte[] Salt, byte[] Hash) Parse(string stored)
    {
        var parts = stored.Split('$');
        return parts is ["", Scheme, var count, var salt, var hash] && count.StartsWith("i=", StringComparison.Ordinal)
            ? (int.Parse(count.AsSpan(2), CultureInfo.InvariantCulture), Convert.FromBase64String(salt), Convert.FromBase64String(hash))
            : throw new FormatException("A stored password hash has an unknown form.");
    }
}

internal enum PasswordVerdict
{
    Wrong,
    Right,

    /// <summary>Right, and stored with fewer rounds than are asked for today: hash it anew.</summary>
    RightButOld,
}
