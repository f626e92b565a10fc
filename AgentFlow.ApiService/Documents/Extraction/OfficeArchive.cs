using System.Buffers.Binary;
using System.IO.Compression;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// An Office Open XML file: parts in a ZIP archive. What is unpacked is counted as it comes out, whatever the archive's directory says;
/// XML is read forward only, without DTDs or anything external.
/// </summary>
internal sealed class OfficeArchive : IDisposable
{
    private const int MaxEntries = 10_000;
    private const int MaxXmlDepth = 256;
    private const string PackageRelations = "_rels/.rels";
    private const string Compatibility = "http://schemas.openxmlformats.org/markup-compatibility/2006";

    /// <summary>400 bytes for each of the entries that there may be: names of real files' parts have about 40.</summary>
    private const int MaxDirectoryBytes = MaxEntries * 400;

    /// <summary>Bytes of the archive's last record, of the comment that may follow, and of the two records before it in large archives (APPNOTE 4.3.14 to 4.3.16).</summary>
    private const int EndRecord = 22;
    private const int MaxComment = ushort.MaxValue;
    private const int Locator64 = 20;
    private const int Record64 = 56;

    private static ReadOnlySpan<byte> CompoundFile => [0xD0, 0xCF, 0x11, 0xE0];

    private readonly ZipArchive archive;
    private readonly long maxUnpackedBytes;
    private long unpacked;

    /// <exception cref="ExtractionFailedException">Encrypted, an old binary file, no archive, or one with too many entries.</exception>
    public OfficeArchive(Stream content, long maxUnpackedBytes)
    {
        this.maxUnpackedBytes = maxUnpackedBytes;
        Span<byte> head = stackalloc byte[4];
        if (content.ReadAtLeast(head, 4, throwOnEndOfStream: false) == 4 && head.SequenceEqual(CompoundFile))
            throw new ExtractionFailedException("It is encrypted, or an Office file of the old binary kind. Save it without a password in the current format.");
        if (!HasBoundedDirectory(content))
            throw new ExtractionFailedException($"It is too large: it has more than {MaxEntries:N0} parts.");
        content.Position = 0;
        try
        {
            archive = new ZipArchive(content, ZipArchiveMode.Read);
            if (archive.Entries.Count > MaxEntries)
                throw new ExtractionFailedException($"It is too large: it has more than {MaxEntries:N0} parts.");
        }
        catch (InvalidDataException)
        {
            throw new ExtractionFailedException("It is damaged, or not what its name says: it is no Office file.");
        }
    }

    public void Dispose() => archive.Dispose();

    /// <summary>
    /// The framework makes an object of every entry that the directory lists before it says how many there are: so the end of the file is
    /// looked at first, for the number that it tells and for the room that the directory takes, whatever the number.
    /// </summary>
    private static bool HasBoundedDirectory(Stream content)
    {
        var tail = new byte[Math.Min(content.Length, EndRecord + MaxComment + Locator64)];
        content.Position = content.Length - tail.Length;
        content.ReadExactly(tail);
        var end = tail.AsSpan().LastIndexOf("PK\u0005\u0006"u8);
        if (end < 0 || tail.Length - end < EndRecord)
            return true;
        ulong entries = BinaryPrimitives.ReadUInt16LittleEndian(tail.AsSpan(end + 10));
        ulong start = BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(end + 16));
        if ((entries == ushort.MaxValue || start == uint.MaxValue) && end >= Locator64 && tail.AsSpan(end - Locator64).StartsWith("PK\u0006\u0007"u8))
        {
            var record = new byte[Record64];
            var at = BinaryPrimitives.ReadUInt64LittleEndian(tail.AsSpan(end - Locator64 + 8));
            if (at > (ulong)(content.Length - record.Length))
                return true;
            content.Position = (long)at;
            content.ReadExactly(record);
            entries = BinaryPrimitives.ReadUInt64LittleEndian(record.AsSpan(32));
            start = BinaryPrimitives.ReadUInt64LittleEndian(record.AsSpan(48));
        }

        return entries <= MaxEntries && (start > (ulong)content.Length || (ulong)content.Length - start <= MaxDirectoryBytes);
    }

    /// <summary>The part that the package is about, wherever it is kept: <c>word/document.xml</c>, or <c>word/document2.xml</c> from some programs.</summary>
    public string MainPart(string usual)
    {
        if (!Has(PackageRelations))
            return usual;
        using var reader = Open(PackageRelations);
        while (Next(reader))
        {
            if (reader is { NodeType: XmlNodeType.Element, LocalName: "Relationship" } && (reader.GetAttribute("Type") ?? string.Empty).EndsWith("/officeDocument", StringComparison.Ordinal)
                && Resolve(string.Empty, reader.GetAttribute("Target") ?? string.Empty) is var part && Has(part))
                return part;
        }

        return usual;
    }

    public bool Has(string part) => archive.GetEntry(part) is not null;

    /// <exception cref="ExtractionFailedException">The part is not there.</exception>
    public XmlReader Open(string part)
    {
        var entry = archive.GetEntry(part) ?? throw new ExtractionFailedException($"It is damaged: its part {part} is missing.");
        var settings = new XmlReaderSettings
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
            CloseInput = true,
        };
        return XmlReader.Create(new CountedStream(entry.Open(), this), settings);
    }

    /// <summary>
    /// Forward over the elements of a part; nesting beyond any real file's ends it. What is there a second time is passed over: the form of a drawing
    /// for programs that do not know the first, and text where it stood before it was moved.
    /// </summary>
    public static bool Next(XmlReader reader)
    {
        if (!reader.Read())
            return false;
        while (reader.NodeType == XmlNodeType.Element && (reader.LocalName == "moveFrom" || (reader.LocalName == "Fallback" && reader.NamespaceURI == Compatibility)))
            reader.Skip();
        if (reader.EOF)
            return false;
        return reader.Depth <= MaxXmlDepth ? true : throw new ExtractionFailedException($"Its parts are nested more than {MaxXmlDepth} deep.");
    }

    /// <summary>The relationships of a part, id to target, targets as full part names.</summary>
    public Dictionary<string, string> Relations(string part)
    {
        var relations = new Dictionary<string, string>(StringComparer.Ordinal);
        var folder = FolderOf(part);
        var name = $"{folder}{(folder.Length > 0 ? "/" : string.Empty)}_rels/{part[(part.LastIndexOf('/') + 1)..]}.rels";
        if (!Has(name))
            return relations;
        using var reader = Open(name);
        while (Next(reader))
        {
            if (reader is { NodeType: XmlNodeType.Element, LocalName: "Relationship" } && reader.GetAttribute("Id") is { } id && reader.GetAttribute("Target") is { } target)
                relations[id] = Resolve(folder, target);
        }

        return relations;
    }

    /// <summary>The id of a relationship that an element names, in files of both editions of the standard.</summary>
    public static string? RelationOf(XmlReader reader) =>
        reader.GetAttribute("id", "http://schemas.openxmlformats.org/officeDocument/2006/relationships") ?? reader.GetAttribute("id", "http://purl.oclc.org/ooxml/officeDocument/relationships");

    public static string FolderOf(string part) => part.LastIndexOf('/') is >= 0 and var end ? part[..end] : string.Empty;

    /// <summary><c>../notesSlides/notesSlide1.xml</c> in <c>ppt/slides</c>. A name in the archive, never one of a file.</summary>
    private static string Resolve(string folder, string target)
    {
        var path = new List<string>(target.StartsWith('/') ? [] : folder.Split('/', StringSplitOptions.RemoveEmptyEntries));
        foreach (var segment in target.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == ".." && path.Count > 0)
                path.RemoveAt(path.Count - 1);
            else if (segment is not ("." or ".."))
                path.Add(segment);
        }

        return string.Join('/', path);
    }

    /// <summary>Title, author and dates from docProps/core.xml.</summary>
    public DocumentInfo Info(int? pages = null)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        if (Has("docProps/core.xml"))
        {
            using var reader = Open("docProps/core.xml");
            while (Next(reader))
            {
                if (reader.NodeType != XmlNodeType.Element || reader.LocalName is not ("title" or "creator" or "subject" or "keywords" or "created" or "modified" or "language"))
                    continue;
                var name = reader.LocalName == "creator" ? "author" : reader.LocalName;
                using var inner = reader.ReadSubtree();
                inner.Read();
                var value = inner.ReadElementContentAsString().Trim();
                if (value.Length > 0)
                    found[name] = value.Length > 500 ? value[..500] : value;
            }
        }

        found.Remove("title", out var title);
        return new DocumentInfo(title, pages, found);
    }

    /// <summary>Counts what comes out of all parts together.</summary>
    private sealed class CountedStream(Stream inner, OfficeArchive owner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            var read = inner.Read(buffer);
            owner.unpacked += read;
            return owner.unpacked <= owner.maxUnpackedBytes
                ? read
                : throw new ExtractionFailedException($"It is too large: it unpacks to more than {owner.maxUnpackedBytes:N0} bytes.");
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
