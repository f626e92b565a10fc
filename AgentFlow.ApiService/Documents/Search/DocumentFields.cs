using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Documents;

/// <summary>What a search can filter by; the same names in the request, the index and here. <see cref="Edition"/> is for searches themselves.</summary>
internal static class DocumentFields
{
    public const string Document = "document";
    /// <summary>Which version of its document a passage is of (<see cref="EditionOf"/>); no filter of a request names it.</summary>
    public const string Edition = "edition";

    public const string Name = "name";
    public const string Type = "type";
    public const string Tag = "tag";
    public const string Date = "date";
    public const string Collection = "collection";
    public const string Metadata = "metadata";

    public static Dictionary<string, JsonElement> Of(
        Guid document, int version, string name, string format, string[] tags, string metadata, DateTime created, Guid[] collections) => new(StringComparer.Ordinal)
    {
        [Document] = Json(document),
        [Edition] = Json(EditionOf(document, version)),
        [Name] = Json(name),
        [Type] = Json(format),
        [Tag] = Json(tags),
        [Date] = Json(created.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFF'Z'")),
        [Collection] = Json(collections),
        [Metadata] = JsonElement.Parse(metadata),
    };

    public static string EditionOf(Guid document, int version) => string.Create(CultureInfo.InvariantCulture, $"{document}:{version}");

    private static JsonElement Json<T>(T value) => JsonSerializer.SerializeToElement(value, ContractJson.Options);
}
