using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Ranking;

namespace AgentFlow.Tests.Retrieval.Ranking;

public sealed class ConversationRankerTests
{
    private static readonly DateTimeOffset May = new(2026, 5, 7, 10, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_answer_beside_the_question_is_lifted()
    {
        var turns = Session("s", [8, 0, 0, 0, 0, 1]);
        var ranked = Rank("where did you go", turns);
        Assert.Equal([turns[0].Id, turns[1].Id], ranked.Take(2).Select(each => each.Candidate.Id));
        Assert.True(ranked[1].Parts.Neighbours > 0);
    }

    [Fact]
    public void A_named_speaker_and_a_named_time_count()
    {
        var turns = Session("s", [5, 5, 5], speakers: ["Ana", "Bo", "Bo"]);
        Assert.True(Score(Rank("what did Ana say", turns), turns[0]).Parts.Speaker > 0);
        Assert.Equal(0, Score(Rank("what did Ana say", turns), turns[1]).Parts.Speaker);
        Assert.All(Rank("what happened in May 2026", turns), each => Assert.True(each.Parts.Time > 0));
        Assert.All(Rank("what happened in June", turns), each => Assert.Equal(0, each.Parts.Time));
    }

    [Fact]
    public void A_role_is_not_a_name()
    {
        var turns = Session("s", [5, 5], speakers: ["user", "assistant"]);
        Assert.All(Rank("what did the user say", turns), each => Assert.Equal(0, each.Parts.Speaker));
    }

    [Fact]
    public void A_record_that_stands_alone_is_not_buried_by_a_chatty_session()
    {
        var fact = new RankCandidate { Id = Guid.CreateVersion7(), Bm25 = 10, Dense = 0.6 };
        Assert.Equal(fact.Id, Rank("q", [.. Session("s", [5, 5, 5, 5]), fact])[0].Candidate.Id);
    }

    [Fact]
    public void Scores_are_shares_of_the_evidence_and_parts_sum_up()
    {
        foreach (var ranked in new[] { Rank("x", Session("s", [9, 3, 0])), Rank("x", Session("s", [0, 0])), Rank("x", []) })
        {
            Assert.All(ranked, each => Assert.InRange(each.Score, 0, 1));
            Assert.All(ranked, each => Assert.Equal(each.Score, each.Parts.ToDictionary().Values.Sum(), 1e-9));
            Assert.Equal(ranked.OrderByDescending(each => each.Score).Select(each => each.Score), ranked.Select(each => each.Score));
        }

        Assert.True(Rank("x", Session("s", [20]))[0].Score > Rank("x", Session("s", [1]))[0].Score);
    }

    [Theory]
    [InlineData("on 7 May 2026", 2026, 5, 7)]
    [InlineData("May 7th, 2026", 2026, 5, 7)]
    [InlineData("in june", null, 6, null)]
    [InlineData("2026-05-07", 2026, 5, 7)]
    [InlineData("back in 2024", 2024, null, null)]
    [InlineData("the 3rd of sept.", null, 9, 3)]
    public void Times_are_read(string query, int? year, int? month, int? day) =>
        Assert.Equal([new TimeMention(year, month, day)], TimeMention.Find(query));

    [Theory]
    [InlineData("you may go")]
    [InlineData("marching on")]
    [InlineData("room 20267")]
    public void Other_words_are_no_times(string query) => Assert.Empty(TimeMention.Find(query));

    private static List<RankCandidate> Session(string session, double[] words, string?[]? speakers = null)
    {
        var ids = words.Select(_ => Guid.CreateVersion7()).ToArray();
        return [.. words.Select((score, i) => new RankCandidate
        {
            Id = ids[i],
            Bm25 = score,
            Dense = score / 20,
            Turn = new Turn(session, i, speakers?[i], May.AddMinutes(i)),
            Around = new TurnNeighbours(At(i - 2), At(i - 1), At(i + 1), At(i + 2)),
        })];

        Guid? At(int i) => i >= 0 && i < ids.Length ? ids[i] : null;
    }

    private static IReadOnlyList<Ranked> Rank(string query, IReadOnlyList<RankCandidate> candidates) => ConversationRanker.Rank(query, candidates, RankWeights.Hashing);

    private static Ranked Score(IReadOnlyList<Ranked> ranked, RankCandidate candidate) => ranked.Single(each => each.Candidate.Id == candidate.Id);
}
