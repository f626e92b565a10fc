using System.Text.Json;
using Microsoft.Playwright;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>A page as the browser tells it to a screen reader.</summary>
internal static class AccessibilityTree
{
    private static readonly HashSet<string> Controls =
        ["button", "link", "textbox", "searchbox", "combobox", "listbox", "checkbox", "radio", "switch", "slider", "spinbutton", "tab", "menuitem", "DisclosureTriangle", "dialog", "alertdialog"];

    /// <summary>Controls that a screen reader can only call by their kind.</summary>
    public static async Task<IReadOnlyList<string>> NamelessAsync(IPage page) =>
        [.. (await ReadAsync(page)).Where(node => Controls.Contains(node.Role) && node.Name.Trim().Length == 0).Select(node => $"a {node.Role} without a name")];

    /// <summary>Which of these words stand where a screen reader speaks each change.</summary>
    public static async Task<IReadOnlyList<string>> LiveTextsAsync(IPage page, params string[] words)
    {
        var nodes = await ReadAsync(page);
        var byId = nodes.ToDictionary(node => node.Id, StringComparer.Ordinal);
        var spoken = nodes.Where(node => node.IsLive).SelectMany(node => Below(node, byId)).Select(node => node.Name).ToList();
        return [.. words.Where(word => spoken.Exists(text => text.Contains(word, StringComparison.Ordinal)))];
    }

    private static IEnumerable<Node> Below(Node node, Dictionary<string, Node> nodes) =>
        node.Children.Where(nodes.ContainsKey).SelectMany(child => Below(nodes[child], nodes)).Prepend(node);

    private static async Task<List<Node>> ReadAsync(IPage page)
    {
        var session = await page.Context.NewCDPSessionAsync(page);
        try
        {
            var tree = await session.SendAsync("Accessibility.getFullAXTree");
            return [.. tree!.Value.GetProperty("nodes").EnumerateArray().Where(node => !node.GetProperty("ignored").GetBoolean() || node.TryGetProperty("childIds", out _)).Select(Read)];
        }
        finally
        {
            await session.DetachAsync();
        }
    }

    private static Node Read(JsonElement node)
    {
        var isIgnored = node.GetProperty("ignored").GetBoolean();
        return new Node(
            node.GetProperty("nodeId").GetString()!,
            isIgnored ? "" : Value(node, "role"),
            isIgnored ? "" : Value(node, "name"),
            node.TryGetProperty("properties", out var properties) && properties.EnumerateArray().Any(property =>
                property.GetProperty("name").GetString() is "live" && property.GetProperty("value").GetProperty("value").GetString() is "polite" or "assertive"),
            node.TryGetProperty("childIds", out var children) ? [.. children.EnumerateArray().Select(child => child.GetString()!)] : []);
    }

    private static string Value(JsonElement node, string name) =>
        node.TryGetProperty(name, out var value) && value.TryGetProperty("value", out var text) ? text.ToString() : "";

    private sealed record Node(string Id, string Role, string Name, bool IsLive, IReadOnlyList<string> Children);
}
