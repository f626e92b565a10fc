using System.ComponentModel;
using System.Globalization;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Http;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Tools.BuiltIn;

/// <summary>
/// The tools that come with the service. Whose documents and memories they touch comes from the run, never from the model's arguments.
/// </summary>
internal sealed class BuiltInTools : IToolSource
{
    private static readonly TimeSpan FetchTimeout = TimeSpan.FromSeconds(20);
    private readonly SearchDocuments _documents;
    private readonly MemoryClient _memories;
    private readonly PublicFetch _fetch;
    private readonly ToolOptions _options;
    private readonly TimeProvider _time;

    public BuiltInTools(SearchDocuments documents, MemoryClient memories, PublicFetch fetch, IOptions<ToolOptions> options, TimeProvider time)
    {
        (_documents, _memories, _fetch, _options, _time) = (documents, memories, fetch, options.Value, time);
        List<Tool> tools =
        [
            new(Function(SearchDocumentsAsync, "search_documents"), HasSideEffects: false, GivesUntrustedText: true),
            new(Function(SearchMemoryAsync, "search_memory"), HasSideEffects: false, GivesUntrustedText: false),
            new(Function(RememberAsync, "remember"), HasSideEffects: true, GivesUntrustedText: false),
            new(Function(ForgetAsync, "forget"), HasSideEffects: true, GivesUntrustedText: false),
            new(Function(CurrentTime, "current_time"), HasSideEffects: false, GivesUntrustedText: false),
            new(Function(Calculate, "calculate"), HasSideEffects: false, GivesUntrustedText: false),
        ];
        if (_options.FetchUrl)
        {
            // A request to an address that the model chose can carry data out.
            tools.Add(new(Function(FetchAsync, "fetch_url"), HasSideEffects: true, GivesUntrustedText: true));
        }

        Tools = tools;
    }

    public static IReadOnlySet<string> Names { get; } = new HashSet<string>(StringComparer.Ordinal)
    {
        "search_documents", "search_memory", "remember", "forget", "current_time", "calculate", "fetch_url",
    };

    public IReadOnlyCollection<Tool> Tools { get; }

    private static AIFunction Function(Delegate method, string name) => AIFunctionFactory.Create(method, name);

    private static ToolSession Session(AIFunctionArguments arguments) => (ToolSession)arguments.Context![typeof(ToolSession)]!;

    private static MemorySubjects Subjects(ToolSession session) => new(session.Run.OwnerId, session.Run.Agent.Slug, session.Run.ConversationId);

    [Description("Searches the user's documents and returns the passages that fit best, with document name and text.")]
    private async Task<object> SearchDocumentsAsync(
        AIFunctionArguments arguments,
        [Description("What to look for, in a few words or a question.")] string query,
        [Description("How many passages, 1 to 20.")] int topK = 5,
        CancellationToken ct = default)
    {
        var found = await _documents(Session(arguments).Run, Text(query, "query"), InRange(topK, 1, 20, "topK"), ct);
        return found.Items.Select(h => new { document = h.DocumentName, page = h.Page, text = h.Text, score = Math.Round(h.Score, 3) });
    }

    [Description("Searches what is known from earlier conversations about the user, this agent and this session.")]
    private async Task<object> SearchMemoryAsync(
        AIFunctionArguments arguments,
        [Description("What to look for.")] string query,
        [Description("How many memories, 1 to 20.")] int topK = 5,
        CancellationToken ct = default)
    {
        var found = await _memories.SearchAsync(Subjects(Session(arguments)), Text(query, "query"), InRange(topK, 1, 20, "topK"), ct);
        return found.Items.Select(m => new { id = m.Id, text = m.Text, scope = m.Scope });
    }

    [Description("Keeps one fact for later conversations.")]
    private async Task<object> RememberAsync(
        AIFunctionArguments arguments,
        [Description("The fact, as one self-contained sentence.")] string fact,
        [Description("user: about the user; session: about this conversation's work; agent: about how this agent should work.")] MemoryScopeName scope = MemoryScopeName.User,
        CancellationToken ct = default)
    {
        var session = Session(arguments);
        var subjects = Subjects(session);
        var added = await _memories.AddAsync(
            subjects.Owner,
            new AddMemoryRequest
            {
                Text = Text(fact, "fact"),
                UserId = scope == MemoryScopeName.User ? subjects.UserId : null,
                SessionId = scope == MemoryScopeName.Session ? subjects.SessionId : null,
                AgentId = scope == MemoryScopeName.Agent ? subjects.Agent : null,
                Infer = false,
                Source = $"run:{session.Run.RunId}",
                Trust = session.ReadUntrustedText ? MemoryTrust.External : MemoryTrust.Inferred,
            },
            ct);
        await session.Writer.EmitAsync(new MemoryStored { Count = added.Items.Count }, ct);
        return added.Items.Select(i => new { id = i.Id, text = i.Text, result = i.Event.ToString().ToLowerInvariant() });
    }

    [Description("Deletes one memory.")]
    private async Task<object> ForgetAsync(
        AIFunctionArguments arguments, [Description("The memory's id, as search_memory returned it.")] string memoryId, CancellationToken ct = default)
    {
        if (!MemoryId.TryParse(memoryId, null, out var id))
            throw new ToolException(ToolCodes.InvalidArguments, "memoryId is not an id that search_memory returned.", recoverable: true);
        return await _memories.DeleteAsync(Subjects(Session(arguments)), id, ct)
            ? new { forgotten = memoryId }
            : throw new ToolException(ToolCodes.NotFound, "There is no such memory.", recoverable: true);
    }

    [Description("Tells the current date and time.")]
    private object CurrentTime([Description("IANA name, such as Europe/Berlin; UTC if absent.")] string? timeZone = null)
    {
        var now = _time.GetUtcNow();
        if (timeZone is null)
            return new { time = now.ToString("yyyy-MM-dd'T'HH:mm:ssK", CultureInfo.InvariantCulture), weekday = now.DayOfWeek.ToString() };
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(timeZone, out var zone))
            throw new ToolException(ToolCodes.NotFound, "There is no such time zone.", recoverable: true);
        var local = TimeZoneInfo.ConvertTime(now, zone);
        return new { time = local.ToString("yyyy-MM-dd'T'HH:mm:ssK", CultureInfo.InvariantCulture), weekday = local.DayOfWeek.ToString() };
    }

    [Description("Evaluates arithmetic exactly as written, such as 2 * (3 + 4) ^ 2; knows sqrt, abs, round, floor, ceil, min, max, ln, log10, exp, sin, cos, tan, pi, e.")]
    private static object Calculate([Description("The expression.")] string expression)
    {
        try
        {
            var value = Calculator.Evaluate(expression.Length <= 1_000 ? expression : throw new FormatException("The expression is longer than 1000 characters."));
            return double.IsFinite(value) ? new { value } : throw new ToolException(ToolCodes.InvalidArguments, "The result is not a finite number.", recoverable: true);
        }
        catch (FormatException e)
        {
            throw new ToolException(ToolCodes.InvalidArguments, e.Message, recoverable: true);
        }
    }

    [Description("Reads a public web page and returns its text.")]
    private async Task<object> FetchAsync([Description("An absolute http or https address.")] string url, CancellationToken ct = default)
    {
        try
        {
            var page = await _fetch.GetAsync(url, new FetchLimits(_options.MaxFetchBytes, FetchTimeout), ct);
            return new { address = page.Address, text = FetchedText.Of(page) };
        }
        catch (FetchRefusedException e)
        {
            throw new ToolException(e.Code == "timeout" ? ToolCodes.Timeout : ToolCodes.InvalidArguments, e.Message, recoverable: true);
        }
    }

    private static string Text(string value, string name) => value.Trim() is { Length: > 0 and <= 4_000 } text
        ? text
        : throw new ToolException(ToolCodes.InvalidArguments, $"{name} must have 1 to 4000 characters.", recoverable: true);

    private static int InRange(int value, int min, int max, string name) => value >= min && value <= max
        ? value
        : throw new ToolException(ToolCodes.InvalidArguments, $"{name} must be {min} to {max}.", recoverable: true);
}

/// <summary>Whose fact it is.</summary>
[System.Text.Json.Serialization.JsonConverter(typeof(System.Text.Json.Serialization.JsonStringEnumConverter<MemoryScopeName>))]
internal enum MemoryScopeName
{
    [System.Text.Json.Serialization.JsonStringEnumMemberName("user")] User,
    [System.Text.Json.Serialization.JsonStringEnumMemberName("session")] Session,
    [System.Text.Json.Serialization.JsonStringEnumMemberName("agent")] Agent,
}
