namespace AgentFlow.ApiService.OutputFilter;

/// <summary>
/// What an answer passes before anybody sees it: instructions withheld, then secrets, foreign images and links, correct across the borders
/// of the stream's pieces. Holds back at most 256 characters. <see cref="Actions"/> says what was done. Not thread-safe; one per answer.
/// </summary>
internal sealed class AnswerFilter
{
    private readonly PromptGuard _prompt;
    private readonly MarkupGuard _markup;
    private readonly HashSet<string> _actions = new(StringComparer.Ordinal);
    private readonly List<string> _news = [];

    /// <param name="instructions">The system prompt.</param>
    /// <param name="written">What the user wrote in this conversation; hosts in it may be linked.</param>
    public AnswerFilter(string instructions, IEnumerable<string> written)
    {
        _prompt = new PromptGuard(instructions, Act);
        _markup = new MarkupGuard(new LinkRules(written), Act);
    }

    public string Write(string text) => _markup.Write(_prompt.Write(text));

    public string End() => _markup.Write(_prompt.End()) + _markup.End();

    /// <summary>Kinds of actions not taken before since the last call: secret, image, link, system-prompt.</summary>
    public IReadOnlyList<string> Actions()
    {
        if (_news.Count == 0)
            return [];
        string[] news = [.. _news];
        _news.Clear();
        return news;
    }

    private void Act(string kind)
    {
        Telemetry.FilterActions.Add(1, new KeyValuePair<string, object?>(Telemetry.Tags.Kind, kind));
        if (_actions.Add(kind))
            _news.Add(kind);
    }
}
