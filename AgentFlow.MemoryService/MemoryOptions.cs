using System.ComponentModel.DataAnnotations;

namespace AgentFlow.MemoryService;

/// <summary>Where the memories are kept.</summary>
internal enum MemoryBackend
{
    /// <summary>In the service's own database.</summary>
    Local,

    /// <summary>At Mem0's hosted service; needs <c>MEM0_API_KEY</c> or <c>Memory:Mem0:ApiKey</c>, and <c>Memory:Mem0:Address</c> where it is not api.mem0.ai.</summary>
    Mem0,
}

/// <summary>What a model that answers nonsense does to an add that asked for extraction.</summary>
internal enum ExtractionFailure
{
    /// <summary>502 with a code; nothing is stored.</summary>
    Refuse,

    /// <summary>Extraction by rules, said in the response.</summary>
    Rules,
}

/// <summary>Section <c>Memory</c>.</summary>
internal sealed class MemoryOptions
{
    internal const string Section = "Memory";

    /// <summary>Local or mem0. Default local.</summary>
    public MemoryBackend Backend { get; set; }

    /// <summary>Longest text of one memory or message in UTF-16 characters, 100 to 1,000,000. Default 50,000, the chat's own limit of a message.</summary>
    [Range(100, 1_000_000)]
    public int MaxTextLength { get; set; } = 50_000;

    /// <summary>Messages in one add, 1 to 5,000. Default 1,000.</summary>
    [Range(1, 5_000)]
    public int MaxMessages { get; set; } = 1_000;

    /// <summary>Metadata of one memory in characters of JSON, 100 to 1,000,000. Default 16,384.</summary>
    [Range(100, 1_000_000)]
    public int MaxMetadataLength { get; set; } = 16_384;

    /// <summary>Cosine from which an inferred fact counts as said already, 0.5 to 1. Default 0.95, as Mem0 merges its entities.</summary>
    [Range(0.5, 1)]
    public double DuplicateSimilarity { get; set; } = 0.95;

    /// <summary>Refuse (502, nothing stored) or rules. Default refuse: a failing provider is never replaced silently.</summary>
    public ExtractionFailure OnExtractionFailure { get; set; }

    /// <summary>Characters that one extraction call is given at most, 1,000 to 1,000,000; longer input is split. Default 24,000, about 6,000 tokens.</summary>
    [Range(1_000, 1_000_000)]
    public int ExtractionWindow { get; set; } = 24_000;

    /// <summary>Longest wait for one extraction call. Default 60 s, 1 s to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan ExtractionTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Holds what was inferred as pending until somebody approves it. Default false.</summary>
    public bool ReviewInferred { get; set; }

    /// <summary>Deletes what has expired for good, some time after. Default false: it is only hidden.</summary>
    public bool PurgeExpired { get; set; }

    /// <summary>How long a deleted memory's empty row stays, and its history is found under its id, 1 h to 10 years. Default 30 days: longer than any late write takes.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "3650.00:00:00")]
    public TimeSpan KeepDeletedFor { get; set; } = TimeSpan.FromDays(30);

    /// <summary>
    /// Memories that a search with <c>knownAt</c> looks at, the newest first, 1 to 1,000,000; where there were more, it says <c>past_truncated</c>.
    /// They are read and indexed for that search alone, some 4 kB of memory each. Default 50,000.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MaxPastMemories { get; set; } = 50_000;

    /// <summary>After this time a memory counts half, 1 h to 10 years; absent: age does not count. Default absent.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "3650.00:00:00")]
    public TimeSpan? DecayHalfLife { get; set; }

    /// <summary>What decay leaves of a score at least, 0 to 1. Default 0.3, as Mem0's platform has it.</summary>
    [Range(0, 1)]
    public double DecayFloor { get; set; } = 0.3;
}
