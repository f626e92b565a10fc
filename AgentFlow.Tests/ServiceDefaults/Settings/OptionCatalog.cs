using System.Collections;
using System.Reflection;
using System.Text.RegularExpressions;
using AgentFlow.Tests.Architecture;

namespace AgentFlow.Tests.ServiceDefaults.Settings;

/// <summary>One key that can be set.</summary>
/// <param name="Project">That registers it, such as AgentFlow.ApiService.</param>
/// <param name="Root">The options class of the section.</param>
/// <param name="Key">With <c>&lt;n&gt;</c> and <c>&lt;name&gt;</c> inside lists and dictionaries.</param>
/// <param name="Property">What it sets.</param>
/// <param name="Owner">An object of the class that declares the property, as it is without any setting.</param>
internal sealed record Option(string Project, Type Root, string Section, string Key, PropertyInfo Property, object Owner)
{
    /// <summary>A key as somebody would write it.</summary>
    public string Written => Key.Replace("<n>", "0", StringComparison.Ordinal).Replace("<name>", "x", StringComparison.Ordinal);

    /// <summary>Of the value, or of a list's elements.</summary>
    public Type ValueType => Property.PropertyType is { IsGenericType: true } type && type.GetGenericTypeDefinition() == typeof(IList<>)
        ? type.GenericTypeArguments[0]
        : Nullable.GetUnderlyingType(Property.PropertyType) ?? Property.PropertyType;
}

/// <summary>Every option of every service, found where the services register them.</summary>
internal static partial class OptionCatalog
{
    private static readonly string[] Projects = ["AgentFlow.ServiceDefaults", "AgentFlow.Retrieval", "AgentFlow.ApiService", "AgentFlow.MemoryService", "AgentFlow.Web"];

    public static IReadOnlyList<Option> All { get; } = [.. Registered().SelectMany(each => Inside(each.Project, each.Type, each.Section, each.Section, each.Type))];

    /// <summary>Classes that say which section they are, registered or not.</summary>
    public static IEnumerable<Type> Declared => Types().Where(type => SectionOf(type) is not null);

    private static IEnumerable<(string Project, Type Type, string Section)> Registered() =>
        from project in Projects
        from file in SourceTreeTests.Sources().Where(file => file.Contains($"/{project}/", StringComparison.Ordinal)).Order(StringComparer.Ordinal)
        from Match match in Registration().Matches(File.ReadAllText(file))
        let type = Types().Single(type => type.Name == match.Groups["type"].Value)
        let section = match.Groups["text"] is { Success: true } text ? text.Value : SectionOf(type)!
        orderby section, type.FullName
        select (project, type, section);

    private static IEnumerable<Option> Inside(string project, Type root, string section, string path, Type type)
    {
        var owner = Activator.CreateInstance(type, nonPublic: true)!;
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).OrderBy(property => property.MetadataToken))
        {
            var arguments = property.PropertyType.GenericTypeArguments;
            var isCollection = property.PropertyType.IsGenericType && typeof(IEnumerable).IsAssignableFrom(property.PropertyType);
            if (property.SetMethod?.IsPublic != true && !isCollection)
                continue;
            var key = path + ":" + property.Name + (isCollection ? arguments.Length == 2 ? ":<name>" : ":<n>" : "");
            var inner = isCollection ? arguments[^1] : property.PropertyType;
            if (!inner.Name.EndsWith("Options", StringComparison.Ordinal))
                yield return new Option(project, root, section, key, property, owner);
            else
            {
                foreach (var each in Inside(project, root, section, key, inner))
                    yield return each;
            }
        }
    }

    private static IEnumerable<Type> Types() => Projects.SelectMany(project => Assembly.Load(project).GetTypes()).Where(type => type.Name.EndsWith("Options", StringComparison.Ordinal));

    private static string? SectionOf(Type type) =>
        type.GetField("Section", BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static) is { IsLiteral: true } section ? (string?)section.GetRawConstantValue() : null;

    /// <summary>Examples: <c>AddValidatedOptions&lt;QueueOptions&gt;(QueueOptions.Section)</c>, <c>AddValidatedOptions&lt;IndexUpkeepOptions&gt;("Memory:Upkeep")</c>.</summary>
    [GeneratedRegex(@"AddValidatedOptions<(?<type>\w+Options)>\((?:""(?<text>[\w:]+)""|\w+\.Section)\)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Registration();
}
