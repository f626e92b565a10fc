using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Web.State;

namespace AgentFlow.Tests.Web.State;

public sealed class ConversationStateTests
{
    private const int Runs = 300;
    private static readonly DateTimeOffset Noon = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_text_is_what_was_streamed_at_every_moment()
    {
        for (var seed = 0; seed < Runs; seed++)
        {
            var state = ConversationState.Empty.Ask("question", null, MessageId.New(), null, Noon);
            var expected = "";
            foreach (var evt in RandomRun(seed))
            {
                state = state.Apply(evt);
                expected += (evt as MessageDelta)?.Text;
                if (state.Branch() is [_, var answer])
                    Assert.Equal(expected, answer.Text);
            }

            Assert.Null(state.ActiveRun);
        }
    }

    [Fact]
    public void Replaying_any_part_changes_nothing()
    {
        for (var seed = 0; seed < Runs; seed++)
        {
            var random = new Random(seed);
            var events = RandomRun(seed);
            var asked = ConversationState.Empty.Ask("question", null, MessageId.New(), null, Noon);
            var straight = events.Aggregate(asked, (state, evt) => state.Apply(evt));
            var again = asked;
            for (var i = 0; i < events.Count; i++)
            {
                again = again.Apply(events[i]);

                // A connection breaks and the server repeats from somewhere earlier.
                if (random.Next(3) == 0)
                    again = events.Take(i + 1).Skip(random.Next(i + 1)).Aggregate(again, (state, evt) => state.Apply(evt));
            }

            Assert.Equal(Describe(straight), Describe(again));
            Assert.Equal(Describe(straight), Describe(events.Aggregate(straight, (state, evt) => state.Apply(evt))));
        }
    }

    [Fact]
    public void Attaching_after_a_reload_ends_like_having_stayed()
    {
        for (var seed = 0; seed < Runs; seed++)
        {
            var events = RandomRun(seed);
            var started = (RunStarted)events[0];
            var question = new HistoryMessage
            {
                Id = MessageId.New(), Role = ChatRole.User, Content = "question", Status = RunStatus.Completed, Citations = [], ToolCalls = [], CreatedAt = Noon,
            };
            var stayed = events.Aggregate(ConversationState.FromHistory(started.ConversationId, [question]), (state, evt) => state.Apply(evt));
            var partial = new HistoryMessage
            {
                Id = started.MessageId, ParentId = question.Id, RunId = started.RunId, Role = ChatRole.Assistant, Content = "some words that were saved",
                Status = RunStatus.Running, Citations = [], ToolCalls = [], CreatedAt = Noon,
            };
            var reloaded = ConversationState.FromHistory(started.ConversationId, [question, partial]).Attach(started.RunId);
            reloaded = events.Aggregate(reloaded, (state, evt) => state.Apply(evt));
            Assert.Equal(Describe(stayed), Describe(reloaded));
        }
    }

    [Fact]
    public void Events_of_other_runs_are_not_mixed_in()
    {
        var mine = RandomRun(1);
        var foreign = RandomRun(2).Where(evt => evt is not (RunStarted or RunQueued)).ToList();
        var state = ConversationState.Empty.Ask("question", null, MessageId.New(), null, Noon);
        var alone = mine.Aggregate(state, (current, evt) => current.Apply(evt));
        var mixed = mine.SelectMany((evt, i) => new[] { evt, foreign[i % foreign.Count] }).Aggregate(state, (current, evt) => current.Apply(evt));
        Assert.Equal(Describe(alone), Describe(mixed));
    }

    [Fact]
    public void Another_answer_to_a_question_is_a_branch_beside_the_first()
    {
        var first = RandomRun(3);
        var second = RandomRun(4).Select(evt => evt is RunStarted started ? started with { ConversationId = ((RunStarted)first[0]).ConversationId } : evt).ToList();
        var question = MessageId.New();
        var state = first.Aggregate(ConversationState.Empty.Ask("question", null, question, null, Noon), (current, evt) => current.Apply(evt));
        state = second.Aggregate(state.Ask("question", null, MessageId.New(), question, Noon), (current, evt) => current.Apply(evt));

        var branch = state.Branch();
        Assert.Equal([question, ((RunStarted)second[0]).MessageId], branch.Select(message => message.Id));
        var siblings = state.Siblings(branch[1]);
        Assert.Equal([((RunStarted)first[0]).MessageId, ((RunStarted)second[0]).MessageId], siblings.Select(message => message.Id));
        Assert.Equal(siblings[0].Id, state.Choose(siblings[0]).Branch()[1].Id);
    }

    [Fact]
    public void An_edited_question_keeps_both_branches()
    {
        var asked = ConversationState.Empty.Ask("first", null, MessageId.New(), null, Noon);
        var edited = asked.Ask("second", null, MessageId.New(), null, Noon);
        Assert.Equal("second", Assert.Single(edited.Branch()).Text);
        Assert.Equal("first", Assert.Single(edited.Choose(edited.Messages[0]).Branch()).Text);
    }

    [Fact]
    public void The_end_of_a_historyconversation_is_enough_after_a_run()
    {
        var history = Enumerable.Range(0, 50).Select(i => Stored(i)).ToList();
        var state = ConversationState.FromHistory(ConversationId.New(), history).Ask("new", null, MessageId.New(), history[^1].Id, Noon);
        var asked = Stored(50) with { Content = "new", ParentId = history[^1].Id };

        var settled = state.RefreshEnd([.. history.TakeLast(5), asked]);

        Assert.Equal([.. history.Select(message => message.Id), asked.Id], settled!.Messages.Select(message => message.Id));
        Assert.Null(state.RefreshEnd([Stored(98), Stored(99)]));
    }

    [Fact]
    public void Only_more_words_are_no_reason_to_draw_the_page()
    {
        var events = RandomRun(6);
        var state = ConversationState.Empty.Ask("one", null, MessageId.New(), null, Noon).Apply(events[0]);
        var first = state.Apply(new MessageDelta { Text = "Word", RunId = events[0].RunId, Seq = 2, At = Noon });
        var second = first.Apply(new MessageDelta { Text = " word", RunId = events[0].RunId, Seq = 3, At = Noon });
        var third = second.Apply(new FilterApplied { Kind = "link", RunId = events[0].RunId, Seq = 4, At = Noon });

        Assert.Equal(Drawing.Of(first, isBusy: true), Drawing.Of(second, isBusy: true));
        Assert.NotEqual(Drawing.Of(state, isBusy: true), Drawing.Of(first, isBusy: true));
        Assert.NotEqual(Drawing.Of(second, isBusy: true), Drawing.Of(third, isBusy: true));
    }

    [Fact]
    public void A_refused_question_is_taken_back()
    {
        var before = RandomRun(5).Aggregate(ConversationState.Empty.Ask("one", null, MessageId.New(), null, Noon), (state, evt) => state.Apply(evt));
        var id = MessageId.New();
        Assert.Equal(Describe(before), Describe(before.Ask("two", null, id, before.Branch()[^1].Id, Noon).Withdraw(id)));
    }

    [Fact]
    public void A_branch_never_loops_even_if_the_history_does()
    {
        var a = MessageId.New();
        var b = MessageId.New();
        HistoryMessage Message(MessageId id, MessageId? parent) => new()
        {
            Id = id, ParentId = parent, Role = ChatRole.User, Content = "x", Status = RunStatus.Completed, Citations = [], ToolCalls = [], CreatedAt = Noon,
        };
        Assert.Empty(ConversationState.FromHistory(ConversationId.New(), [Message(a, b), Message(b, a)]).Branch());
    }

    [Fact]
    public void An_approval_is_open_until_it_is_decided()
    {
        var run = RunId.New();
        var arguments = JsonElement.Parse("""{"to":"all"}""");
        var state = new RunEvent[]
        {
            new RunStarted { RunId = run, Seq = 1, ConversationId = ConversationId.New(), MessageId = MessageId.New(), Agent = "a", Model = "m" },
            new ToolCalled { RunId = run, Seq = 2, CallId = "c", Tool = "send", Arguments = arguments },
            new ApprovalRequired { RunId = run, Seq = 3, CallId = "c", Tool = "send", Arguments = arguments, ExpiresAt = Noon },
        }.Aggregate(ConversationState.Empty, (current, evt) => current.Apply(evt));
        Assert.True(Assert.IsType<ToolStep>(Assert.Single(state.Messages[0].Steps)).AwaitsApproval);
        Assert.Equal(RunStatus.AwaitingApproval, state.Messages[0].Status);

        state = state.Apply(new ApprovalResolved { RunId = run, Seq = 4, CallId = "c", Decision = "deny" });
        Assert.False(Assert.IsType<ToolStep>(Assert.Single(state.Messages[0].Steps)).AwaitsApproval);
    }

    private static HistoryMessage Stored(int number) => new()
    {
        Id = MessageId.New(), Role = ChatRole.User, Content = $"message {number}", Status = RunStatus.Completed, Citations = [], ToolCalls = [], CreatedAt = Noon.AddMinutes(number),
    };

    private static string Describe(ConversationState state) =>
        string.Join('\n', state.Branch().Select(message =>
            $"{message.Role} {message.Text} {message.Status} {message.Usage} {message.Failure} {string.Join(',', message.Citations.Select(citation => citation.Index))} {string.Join(',', message.Steps.Select(step => step.GetType().Name))}"))
        + $"\n{state.ActiveRun} {state.LastSeq}";

    private static List<RunEvent> RandomRun(int seed)
    {
        var random = new Random(seed);
        var run = RunId.New();
        var message = MessageId.New();
        var events = new List<RunEvent>
        {
            new RunStarted { ConversationId = ConversationId.New(), MessageId = message, Agent = "default", Model = "test" },
            new ContextRecalled { Memories = [], Chunks = [], Ms = 3 },
        };
        var text = "";
        for (var i = random.Next(40); i > 0; i--)
        {
            var piece = new string((char)('a' + random.Next(26)), random.Next(1, 9)) + " ";
            switch (random.Next(8))
            {
                case 0:
                    events.Add(new CitationAdded { Index = random.Next(1, 5), Start = 0, End = 1, Quote = "q" });
                    break;
                case 1:
                    var call = random.Next().ToString(System.Globalization.CultureInfo.InvariantCulture);
                    events.Add(new ToolCalled { CallId = call, Tool = "t", Arguments = default });
                    events.Add(new ToolReturned { CallId = call, DurationMs = 1 });
                    break;
                case 2:
                    events.Add(new FilterApplied { Kind = "link" });
                    break;
                default:
                    text += piece;
                    events.Add(new MessageDelta { Text = piece });
                    break;
            }
        }

        events.Add(new UsageReported { InputTokens = 1, OutputTokens = 2 });
        events.Add(random.Next(4) switch
        {
            0 => new RunCompleted { MessageId = message, Text = text },
            1 => new RunCancelled { Text = text },
            2 => new RunInterrupted { Text = text },
            _ => new RunFailed { Code = "model_failed", Detail = "The model did not answer.", TraceId = "t" },
        });
        return [.. events.Select((evt, i) => evt with { RunId = run, Seq = i + 1, At = Noon })];
    }
}
