using System.Security.Cryptography;
using System.Text.Json;

namespace AgentFlow.AppHost.Local;

/// <summary>What only this installation knows, generated on its first start and kept in a file that only its user can read.</summary>
internal sealed record Secrets
{
    public const string FileName = "secrets.json";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The password of the private cluster's administrator.</summary>
    public required string PostgresPassword { get; init; }

    /// <summary>The key ring that signs tokens, <c>kid:base64secret</c>.</summary>
    public required string SigningKeys { get; init; }

    /// <summary>Needed to register the first account.</summary>
    public required string SetupToken { get; init; }

    /// <summary>The API key of a Qdrant that the AppHost starts itself.</summary>
    public required string QdrantKey { get; init; }

    /// <summary>Reads the folder's secrets, or generates and keeps them; the file has mode 0600 from its first byte on.</summary>
    /// <exception cref="StartRefusedException">When the file is there and can not be understood: new secrets would lock its user out.</exception>
    public static Secrets LoadOrCreate(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (File.Exists(path))
            return Load(path);

        var secrets = new Secrets
        {
            PostgresPassword = Token(24),
            SigningKeys = "k1:" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)),
            SetupToken = Token(16),
            QdrantKey = Token(24),
        };
        var unfinished = path + ".new";
        File.Delete(unfinished);
        using (var file = new FileStream(unfinished, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
        {
            JsonSerializer.Serialize(file, secrets, StateJson.Default.Secrets);
            file.Flush(flushToDisk: true);
        }

        File.Move(unfinished, path);
        return secrets;
    }

    private static Secrets Load(string path)
    {
        File.SetUnixFileMode(path, OwnerOnly);
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), StateJson.Default.Secrets)
                ?? throw new JsonException("It is empty.");
        }
        catch (JsonException failure)
        {
            throw new StartRefusedException(
                $"The secrets in {path} can not be read ({failure.Message}). Restore the file from a backup; without it, start once with --reset, which deletes everything.");
        }
    }

    private static string Token(int bytes) => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(bytes));
}
