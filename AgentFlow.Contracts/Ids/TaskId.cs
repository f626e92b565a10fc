using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts;

/// <summary>A unit of background work on the durable queue.</summary>
[JsonConverter(typeof(TypedIdConverter<TaskId>))]
public readonly record struct TaskId(Guid Value) : ITypedId<TaskId>
{
    public static TaskId New() => new(Guid.CreateVersion7());

    public static TaskId From(Guid value) => new(value);

    public static TaskId Parse(string s, IFormatProvider? provider) => TypedId.Parse<TaskId>(s);

    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out TaskId result) => TypedId.TryParse(s, out result);

    public override string ToString() => Value.ToString("D");
}
