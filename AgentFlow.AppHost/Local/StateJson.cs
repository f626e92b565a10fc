using System.Text.Json.Serialization;

namespace AgentFlow.AppHost.Local;

/// <summary>Generated at build time: reflection would make every start wait for the serializer.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(Secrets))]
[JsonSerializable(typeof(List<LeftOver>))]
internal sealed partial class StateJson : JsonSerializerContext;
