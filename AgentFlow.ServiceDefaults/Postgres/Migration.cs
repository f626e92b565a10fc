using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>One forward-only step of the schema, embedded as <c>NNNN_name.sql</c>.</summary>
/// <param name="Source">Name of the assembly it came from: the foundation's steps go before the service's.</param>
/// <param name="Checksum">SHA-256 of the text with line ends normalised; a step that has run must never change.</param>
internal sealed record Migration(string Source, int Number, string Name, string Sql, string Checksum)
{
    public static IReadOnlyList<Migration> Load(Assembly assembly)
    {
        var source = assembly.GetName().Name!;
        return [.. assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith(".sql", StringComparison.Ordinal))
            .Select(name => Read(assembly, source, name))
            .OrderBy(migration => migration.Number)];
    }

    private static Migration Read(Assembly assembly, string source, string resource)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
        var sql = reader.ReadToEnd().ReplaceLineEndings("\n");
        var name = Path.GetFileNameWithoutExtension(resource);
        var checksum = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
        return new(source, int.Parse(name.AsSpan(0, 4), CultureInfo.InvariantCulture), name, sql, checksum);
    }
}
