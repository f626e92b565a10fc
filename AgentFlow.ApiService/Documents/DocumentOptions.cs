using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Documents;

/// <summary>What may be uploaded and how much work one document may cause. Section <c>Documents</c>.</summary>
internal sealed class DocumentOptions
{
    public const string Section = "Documents";

    /// <summary>Largest file in bytes, 1 KiB to 1 GiB. Default 200 MiB: what ingestion was measured with.</summary>
    [Range(1_024, 1_073_741_824)]
    public long MaxFileBytes { get; set; } = 200L * 1024 * 1024;

    /// <summary>Files in one upload, 1 to 1,000. Default 200: a folder of notes.</summary>
    [Range(1, 1_000)]
    public int MaxFilesPerUpload { get; set; } = 200;

    /// <summary>Bytes of one upload with all its files, 1 KiB to 8 GiB. Default 1 GiB.</summary>
    [Range(1_024, 8_589_934_592)]
    public long MaxUploadBytes { get; set; } = 1024L * 1024 * 1024;

    /// <summary>UTF-16 units of text that one document may yield, 1,000 to 500,000,000. Default 250,000,000: more than the largest text file.</summary>
    [Range(1_000, 500_000_000)]
    public int MaxTextCharacters { get; set; } = 250_000_000;

    /// <summary>
    /// Wall-clock limit of the process that parses one document; it also waits while passages are stored. Default 5 min, 1 s to 1 h.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan ExtractionTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>CPU seconds that the process that parses one document may use, 1 to 3,600. Default 60.</summary>
    [Range(1, 3_600)]
    public int ExtractionCpuSeconds { get; set; } = 60;

    /// <summary>Memory in MiB that parsing one document may hold, 64 to 8,192. Default 256: enough for a web page or JSON file of 30 MB.</summary>
    [Range(64, 8_192)]
    public int ExtractionMemoryMiB { get; set; } = 256;

    /// <summary>Parsing processes at a time, 1 to 64. Default 2: one per core of a small machine.</summary>
    [Range(1, 64)]
    public int MaxExtractions { get; set; } = 2;

    /// <summary>Bytes that an archive (docx, xlsx, pptx) may unpack to, 1 MiB to 4 GiB. Default 512 MiB.</summary>
    [Range(1_048_576, 4_294_967_296)]
    public long MaxUnpackedBytes { get; set; } = 512L * 1024 * 1024;

    /// <summary>Whether <c>POST /api/documents/url</c> fetches pages. Off by default: it lets users make the server send requests.</summary>
    public bool AllowUrls { get; set; }

    /// <summary>A chunk is closed when the next block would bring it over this many characters, 100 to 10,000. Default 1,200.</summary>
    [Range(100, 10_000)]
    public int ChunkCharacters { get; set; } = 1_200;

    /// <summary>Texts handed to the embedder in one call, 1 to 2,048. Default 64.</summary>
    [Range(1, 2_048)]
    public int EmbeddingBatch { get; set; } = 64;

    /// <summary>Embeddings of queries that are kept for the next one who asks the same, 1 to 1,000,000. Default 4,096: about 9 MB at 512 dimensions.</summary>
    [Range(1, 1_000_000)]
    public int QueryCacheEntries { get; set; } = 4_096;

    /// <summary>How often documents whose worker is gone are looked for. Default 5 s, 0.1 s to 1 h.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    public TimeSpan UpkeepInterval { get; set; } = TimeSpan.FromSeconds(5);
}
