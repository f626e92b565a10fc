using System.Diagnostics;
using System.Net;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Benchmarks.Documents;

/// <summary>
/// Fills the disk under the database for real: its tables lie on a memory file system of 64 MB. Uploads must be 507 while it is full, reads must
/// go on, and after room was made the same process must take uploads again. Needs root, for mounting.
/// </summary>
internal static class DiskFull
{
    private const int FileBytes = 4_000_000;
    private const int MaxUploads = 40;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        if (Environment.UserName != "root")
        {
            Console.WriteLine("Mounting a file system needs root.");
            return 2;
        }

        var folder = Directory.CreateTempSubdirectory("agentflow-full-").FullName;
        await ShellAsync($"chmod 755 '{folder}' && mount -t tmpfs -o size=64m tmpfs '{folder}' && mkdir '{folder}/tables' && chown -R postgres '{folder}'", ct);
        try
        {
            // Somebody else's file, which makes room when it goes.
            var ballast = Path.Combine(folder, "ballast");
            await File.WriteAllBytesAsync(ballast, new byte[12_000_000], ct);
            await using var postgres = await PrivatePostgres.StartAsync(durable: true);
            var database = await CreateDatabaseAsync(postgres, $"{folder}/tables", ct);
            await using var api = await MeasuredApi.StartAsync(database, new Dictionary<string, string>(StringComparer.Ordinal), ct);
            return await FillAndRecoverAsync(api, ballast, ct) ? 0 : 1;
        }
        finally
        {
            await ShellAsync($"umount '{folder}'", CancellationToken.None);
            Directory.Delete(folder);
        }
    }

    private static async Task<bool> FillAndRecoverAsync(MeasuredApi api, string ballast, CancellationToken ct)
    {
        var random = new Random(3);
        var taken = 0;
        var refused = HttpStatusCode.OK;
        for (var i = 0; i < MaxUploads && refused == HttpStatusCode.OK; i++)
        {
            using var response = await UploadAsync(api, $"{i}.txt", random, FileBytes, ct);
            if (response.StatusCode == HttpStatusCode.Created)
                taken++;
            else
                refused = response.StatusCode;
        }

        using var list = await api.Http.GetAsync("/api/documents", ct);
        Console.WriteLine($"{taken} files of {FileBytes / 1e6:0} MB were taken, then: {(int)refused}; reading meanwhile: {(int)list.StatusCode}");
        File.Delete(ballast);
        using var again = await UploadAsync(api, "again.txt", random, 100_000, ct);
        Console.WriteLine($"after room was made, without a restart: {(int)again.StatusCode}");
        return refused == HttpStatusCode.InsufficientStorage && list.IsSuccessStatusCode && again.StatusCode == HttpStatusCode.Created;
    }

    private static Task<HttpResponseMessage> UploadAsync(MeasuredApi api, string name, Random random, int bytes, CancellationToken ct)
    {
        var text = new byte[bytes];
        for (var i = 0; i < text.Length; i++)
            text[i] = (byte)(i % 7 == 6 ? ' ' : 'a' + random.Next(26));
        return api.Http.PostAsync("/api/documents", new MultipartFormDataContent { { new ByteArrayContent(text), "file", name } }, ct);
    }

    /// <summary>The tables lie in the folder, the log of the server elsewhere.</summary>
    private static async Task<string> CreateDatabaseAsync(PrivatePostgres postgres, string folder, CancellationToken ct)
    {
        await using var connection = new NpgsqlConnection(postgres.AdminConnectionString("postgres"));
        await connection.OpenAsync(ct);
        foreach (var sql in (string[])[$"create tablespace small location '{folder}'", "create database small tablespace small"])
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(ct);
        }

        return postgres.AdminConnectionString("small");
    }

    private static async Task ShellAsync(string command, CancellationToken ct)
    {
        using var process = Process.Start("/bin/sh", ["-c", command]);
        await process.WaitForExitAsync(ct);
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{command} ended with {process.ExitCode}.");
    }
}
