using System.Text;
using System.Text.Json;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// JSON, or JSON by lines: each element of the outermost list, and each member of the outermost object, becomes a block of
/// <c>path: value</c> lines, so that a value is found together with what it is called.
/// </summary>
internal static class JsonReader
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 128, AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    public static void Read(Stream content, BlockWriter writer)
    {
        using (var text = DecodedText.Open(content, leaveOpen: true))
        {
            // A first line that is a value by itself, with more behind it: a value in each line, which may be as long as it likes.
            if (text.ReadLine() is { } first && first.TrimStart() is ['{' or '[', ..] && !text.EndsAfterWhiteSpace() && TryParse(first, out var line))
            {
                line.Dispose();
                ReadLines(text.Rest(first), content, writer);
                writer.Finish(new DocumentInfo());
                return;
            }
        }

        content.Position = 0;
        using var whole = DecodedText.Open(content);
        var all = whole.ReadToEnd();
        if (TryParse(all, out var document))
        {
            using (document)
                WriteTop(document.RootElement, writer);
        }
        else
        {
            ReadLines(all.Split('\n'), content, writer);
        }

        writer.Finish(new DocumentInfo());
    }

    private static void ReadLines(IEnumerable<string> lines, Stream content, BlockWriter writer)
    {
        var number = 0;
        foreach (var line in lines)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
                continue;
            writer.Progress = content.Length == 0 ? 1 : (double)content.Position / content.Length;
            if (!TryParse(line, out var document))
                throw new ExtractionFailedException(number == 1 ? "It is not valid JSON." : $"It is not valid JSON (line {number}).");
            using (document)
                WriteBlock(document.RootElement, writer);
        }
    }

    private static bool TryParse(string text, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out JsonDocument? document)
    {
        try
        {
            document = LooseJson.Parse(text, Options);
            return true;
        }
        catch (JsonException)
        {
            document = null;
            return false;
        }
    }

    private static void WriteTop(JsonElement root, BlockWriter writer)
    {
        switch (root.ValueKind)
        {
            case JsonValueKind.Array:
                foreach (var item in root.EnumerateArray())
                    WriteBlock(item, writer);
                break;
            case JsonValueKind.Object:
                foreach (var member in root.EnumerateObject())
                {
                    if (member.Value.ValueKind == JsonValueKind.Array)
                        WriteList(member, writer);
                    else
                        writer.Code(Lines(member.Value, member.Name));
                }

                break;
            default:
                writer.Paragraph(root.ToString());
                break;
        }
    }

    private static void WriteList(JsonProperty member, BlockWriter writer)
    {
        writer.Heading(2, member.Name);
        foreach (var item in member.Value.EnumerateArray())
            WriteBlock(item, writer);
    }

    private static void WriteBlock(JsonElement item, BlockWriter writer)
    {
        if (item.ValueKind is JsonValueKind.Object or JsonValueKind.Array)
            writer.Code(Lines(item, string.Empty));
        else
            writer.ListItem(item.ToString());
    }

    private static string Lines(JsonElement element, string path)
    {
        var lines = new StringBuilder();
        Append(lines, element, path);
        return lines.ToString();
    }

    private static void Append(StringBuilder lines, JsonElement element, string path)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                    Append(lines, member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}");
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                    Append(lines, item, path);
                break;
            case JsonValueKind.Null:
                break;
            default:
                lines.Append(path.Length == 0 ? string.Empty : path + ": ").Append(element.ToString()).Append('\n');
                break;
        }
    }
}
