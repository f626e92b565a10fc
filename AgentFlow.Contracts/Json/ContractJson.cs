using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace AgentFlow.Contracts;

/// <summary>
/// How everything that crosses a process boundary is written: camelCase, strict (unknown or duplicate members, numbers as text and
/// nulls where none may be are refused), enums in kebab-case words, absent optionals left out.
/// </summary>
public static class ContractJson
{
    /// <summary>Shared, frozen options; thread-safe.</summary>
    public static JsonSerializerOptions Options { get; } = Freeze(Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web)));

    /// <summary>For readers of our own streams that must outlive newer servers: as <see cref="Options"/>, but unknown members are skipped.</summary>
    public static JsonSerializerOptions Lenient { get; } = Freeze(
        new JsonSerializerOptions(Options) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip });

    /// <summary>Applies the contract's rules to options that somebody else made, such as ASP.NET Core's.</summary>
    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.PropertyNameCaseInsensitive = false;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.AllowDuplicateProperties = false;
        options.RespectNullableAnnotations = true;
        options.RespectRequiredConstructorParameters = true;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.TypeInfoResolver = (options.TypeInfoResolver ?? new DefaultJsonTypeInfoResolver()).WithAddedModifier(LeaveOutOptionals);
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false));
        return options;
    }

    /// <summary>What is written without its nulls must be read without them: a constructor's parameter that may be null may be absent.</summary>
    private static void LeaveOutOptionals(JsonTypeInfo type)
    {
        foreach (var property in type.Properties)
        {
            if (property.AssociatedParameter is { IsNullable: true, IsMemberInitializer: false })
                property.IsRequired = false;
        }
    }

    private static JsonSerializerOptions Freeze(JsonSerializerOptions options)
    {
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }
}
