using System.Globalization;
using System.Text;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// The service's executable as a parser: <c>AgentFlow.ApiService extract FORMAT FILE MAX_CHARACTERS MAX_UNPACKED_BYTES [CHARSET]</c> (the last for a page that was fetched). Reads one file,
/// writes <see cref="ExtractionFrames"/> to its output and ends. Started with limits by <see cref="DocumentReader"/>; knows no settings,
/// secrets, database or network.
/// </summary>
internal static class ExtractVerb
{
    public const string Name = "extract";

    public static bool IsAskedFor(string[] args) => args.Length is 5 or 6 && string.Equals(args[0], Name, StringComparison.Ordinal);

    public static int Run(string[] args)
    {
        using var output = new BufferedStream(Console.OpenStandardOutput(), 64 * 1024);
        try
        {
            using var content = new FileStream(args[2], FileMode.Open, FileAccess.Read, FileShare.Read, 64 * 1024);
            var writer = new BlockWriter(window => ExtractionFrames.WriteWindow(output, window), int.Parse(args[3], CultureInfo.InvariantCulture));
            Read(DocumentKinds.FormatOf(args[1]), content, writer, long.Parse(args[4], CultureInfo.InvariantCulture), args.ElementAtOrDefault(5));
            ExtractionFrames.WriteEnd(output);
        }
        catch (ExtractionFailedException failure)
        {
            ExtractionFrames.WriteError(output, failure.Message);
        }
        catch (DecoderFallbackException)
        {
            ExtractionFrames.WriteError(output, EncodingDetector.NotAllOfIt);
        }
        catch (Exception error) when (error is InvalidDataException or XmlException or IOException or FormatException or NotSupportedException)
        {
            ExtractionFrames.WriteError(output, "It is damaged, or not what its name says.");
        }
        catch (OutOfMemoryException)
        {
            ExtractionFrames.WriteError(output, "It is too large: reading it needs more memory than one document may use.");
        }

        return 0;
    }

    private static void Read(DocumentFormat format, Stream content, BlockWriter writer, long maxUnpackedBytes, string? fetchedAs)
    {
        switch (format)
        {
            case DocumentFormat.Html:
                HtmlReader.Read(content, writer, fetchedAs);
                break;
            case DocumentFormat.Csv:
                CsvReader.Read(content, writer, fetchedAs);
                break;
            case DocumentFormat.Json:
                JsonReader.Read(content, writer);
                break;
            case DocumentFormat.Notebook:
                NotebookReader.Read(content, writer);
                break;
            case DocumentFormat.Docx:
                ReadOffice(content, maxUnpackedBytes, writer, DocxReader.Read);
                break;
            case DocumentFormat.Xlsx:
                ReadOffice(content, maxUnpackedBytes, writer, XlsxReader.Read);
                break;
            case DocumentFormat.Pptx:
                ReadOffice(content, maxUnpackedBytes, writer, PptxReader.Read);
                break;
            default:
                throw new NotSupportedException($"{format} is not read here.");
        }
    }

    private static void ReadOffice(Stream content, long maxUnpackedBytes, BlockWriter writer, Action<OfficeArchive, BlockWriter> read)
    {
        using var archive = new OfficeArchive(content, maxUnpackedBytes);
        read(archive, writer);
    }
}
