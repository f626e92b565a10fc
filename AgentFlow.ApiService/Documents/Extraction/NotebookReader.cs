using System.Text;
using System.Text.Json;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// A Jupyter notebook (nbformat 3 and 4): Markdown cells with their headings, code cells as code, and what their outputs say as text. Pictures and
/// whatever else an output holds are left out.
/// </summary>
internal static class NotebookReader
{
    /// <summary>Of one cell's outputs: logs of a training run are not what a notebook is read for.</summary>
    private const int MaxOutput = 4_000;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 128 };

    public static void Read(Stream content, BlockWriter writer)
    {
        using var text = DecodedText.Open(content);
        using var notebook = Parse(text.ReadToEnd());
        var root = notebook.RootElement;
        if (root.ValueKind != JsonValueKind.Object || Cells(root) is not { } cells)
            throw new ExtractionFailedException("It is damaged, or not what its name says.");
        var count = Math.Max(1, cells.Count);
        for (var i = 0; i < cells.Count; i++)
        {
            writer.Progress = (double)i / count;
            ReadCell(cells[i], writer);
        }

        writer.Finish(Info(root));
    }

    private static JsonDocument Parse(string text)
    {
        try
        {
            return LooseJson.Parse(text, Options);
        }
        catch (JsonException)
        {
            throw new ExtractionFailedException("It is not valid JSON.");
        }
    }

    /// <summary>Those of format 4, or of the sheets that format 3 had.</summary>
    private static List<JsonElement>? Cells(JsonElement root)
    {
        if (Member(root, "cells", JsonValueKind.Array) is { } cells)
            return [.. cells.EnumerateArray()];
        return Member(root, "worksheets", JsonValueKind.Array) is { } sheets
            ? [.. sheets.EnumerateArray().Select(sheet => Member(sheet, "cells", JsonValueKind.Array)).OfType<JsonElement>().SelectMany(sheet => sheet.EnumerateArray())]
            : null;
    }

    private static void ReadCell(JsonElement cell, BlockWriter writer)
    {
        var source = Text(cell, "source") is { Length: > 0 } kept ? kept : Text(cell, "input");
        switch (Member(cell, "cell_type", JsonValueKind.String)?.GetString())
        {
            case "code":
                writer.Code(source);
                writer.Code(Outputs(cell));
                break;
            case "heading":
                writer.Heading(Member(cell, "level", JsonValueKind.Number) is { } level && level.TryGetInt32(out var depth) ? depth : 1, source);
                break;
            case "markdown":
                writer.Markdown(source);
                break;
            default:
                writer.Paragraph(source);
                break;
        }
    }

    private static string Outputs(JsonElement cell)
    {
        var said = new StringBuilder();
        foreach (var output in Member(cell, "outputs", JsonValueKind.Array)?.EnumerateArray() ?? default)
        {
            var name = Text(output, "ename");
            var part = name.Length > 0 ? $"{name}: {Text(output, "evalue")}"
                : Text(output, "text") is { Length: > 0 } printed ? printed
                : Member(output, "data", JsonValueKind.Object) is { } data ? Text(data, "text/plain") : string.Empty;
            if (part.Length > 0 && said.Length < MaxOutput)
                said.Append(part.AsSpan(0, Math.Min(part.Length, MaxOutput - said.Length))).Append('\n');
        }

        return said.ToString();
    }

    private static DocumentInfo Info(JsonElement root)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        if (Member(root, "metadata", JsonValueKind.Object) is not { } metadata)
            return new DocumentInfo();
        var language = Member(metadata, "kernelspec", JsonValueKind.Object) is { } kernel && Text(kernel, "language") is { Length: > 0 } named ? named
            : Member(metadata, "language_info", JsonValueKind.Object) is { } info ? Text(info, "name") : string.Empty;
        if (language.Length is > 0 and <= 100)
            found["programmingLanguage"] = language;
        return new DocumentInfo(Text(metadata, "title") is { Length: > 0 } title ? title : null, Metadata: found);
    }

    /// <summary>A string, or lines of one; empty where it is neither.</summary>
    private static string Text(JsonElement element, string name)
    {
        if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out var value))
            return string.Empty;
        return value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Array => string.Concat(value.EnumerateArray().Where(line => line.ValueKind == JsonValueKind.String).Select(line => line.GetString())),
            _ => string.Empty,
        };
    }

    private static JsonElement? Member(JsonElement element, string name, JsonValueKind kind) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : null;
}
