using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentFlow.Retrieval.Index;

namespace AgentFlow.Benchmarks.Quality;

/// <param name="Category">1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop.</param>
/// <param name="Gold">The turns that hold the answer.</param>
internal sealed record LocomoQuestion(string Text, int Category, IReadOnlySet<Guid> Gold);

internal sealed record LocomoTurn(Guid Id, string Text, Turn Turn);

/// <summary>A conversation of the LoCoMo data set (Maharana et al., ACL 2024), every turn as it was said.</summary>
internal sealed partial record LocomoConversation(string Name, IReadOnlyList<LocomoTurn> Turns, IReadOnlyList<LocomoQuestion> Questions)
{
    // "1:56 pm on 8 May, 2023"
    private static readonly string[] TimeFormats = ["h:mm tt 'on' d MMMM, yyyy", "h:mm tt 'on' d MMMM yyyy"];

    public static IReadOnlyList<LocomoConversation> Load(string path)
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. file.RootElement.EnumerateArray().Select(Read)];
    }

    private static LocomoConversation Read(JsonElement sample)
    {
        var turns = new List<LocomoTurn>();
        var byDialogId = new Dictionary<(int Session, int Turn), Guid>();
        var conversation = sample.GetProperty("conversation");
        for (var session = 1; conversation.TryGetProperty($"session_{session}_date_time", out var at); session++)
        {
            if (!conversation.TryGetProperty($"session_{session}", out var said))
                continue;
            var observedAt = DateTimeOffset.TryParseExact(at.GetString(), TimeFormats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : (DateTimeOffset?)null;
            var position = 0;
            foreach (var turn in said.EnumerateArray())
            {
                var id = Guid.CreateVersion7();
                foreach (var dialogId in DialogIds(turn.GetProperty("dia_id").GetString()!))
                    byDialogId[dialogId] = id;
                turns.Add(new LocomoTurn(id, turn.GetProperty("text").GetString()!, new Turn($"session_{session}", position++, turn.GetProperty("speaker").GetString(), observedAt)));
            }
        }

        var questions = sample.GetProperty("qa").EnumerateArray()
            .Select(qa => new LocomoQuestion(
                qa.GetProperty("question").GetString()!,
                qa.GetProperty("category").GetInt32(),
                qa.GetProperty("evidence").EnumerateArray().SelectMany(evidence => DialogIds(evidence.GetString()!)).Where(byDialogId.ContainsKey).Select(id => byDialogId[id]).ToHashSet()))
            .Where(question => question.Category is >= 1 and <= 4 && question.Gold.Count > 0);
        return new LocomoConversation(sample.GetProperty("sample_id").GetString()!, turns, [.. questions]);
    }

    private static IEnumerable<(int Session, int Turn)> DialogIds(string text) => DialogId().Matches(text)
        .Select(match => (int.Parse(match.Groups["session"].ValueSpan, CultureInfo.InvariantCulture), int.Parse(match.Groups["turn"].ValueSpan, CultureInfo.InvariantCulture)));

    // "D8:6; D9:17", sometimes "D:11:26"
    [GeneratedRegex(@"D:?(?<session>\d+):(?<turn>\d+)", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex DialogId();
}
