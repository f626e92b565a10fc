using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.Tests.Retrieval.Chunking;

public sealed class StructureChunkerTests
{
    private const string Guide = """
        # Guide

        Opening words.

        ## Install

        Run this:

        ```sh
        # not a heading
        make install
        ```

        - first item
          goes on
        - second item

        | a | b |
        |---|---|
        | 1 | 2 |

        Usage
        -----
        Use it.
        """;

    [Fact]
    public void Markdown_is_cut_at_its_headings_and_keeps_their_path()
    {
        var chunks = StructureChunker.Chunk(Guide, TextFormat.Markdown, new ChunkingOptions());
        Assert.Equal([["Guide"], ["Guide", "Install"], ["Guide", "Usage"]], chunks.Select(chunk => chunk.HeadingPath));
        Assert.Equal(["# Guide", "## Install", "Usage"], chunks.Select(chunk => Guide[chunk.Start..chunk.End].Split('\n')[0]));
        Assert.EndsWith("| 1 | 2 |", Guide[chunks[1].Start..chunks[1].End], StringComparison.Ordinal);
        Assert.Equal([0, 1, 2], chunks.Select(chunk => chunk.Ordinal));
    }

    [Fact]
    public void Markdown_has_its_blocks()
    {
        var kinds = StructureReader.Read(Guide, TextFormat.Markdown).Select(block => block.Kind);
        Assert.Equal(
            [BlockKind.Heading, BlockKind.Paragraph, BlockKind.Heading, BlockKind.Paragraph, BlockKind.Code, BlockKind.ListItem, BlockKind.ListItem, BlockKind.Table, BlockKind.Heading, BlockKind.Paragraph],
            kinds);
    }

    [Fact]
    public void Plain_text_has_headings_and_pages()
    {
        const string Text = "TERMS AND CONDITIONS\n\n0. Definitions\n\nWords mean things.\n\f2.1 Scope of it\n\nThis applies to all of it, always.";
        var chunks = StructureChunker.Chunk(Text, TextFormat.Plain, new ChunkingOptions());
        Assert.Equal([["TERMS AND CONDITIONS", "0. Definitions"], ["TERMS AND CONDITIONS", "0. Definitions", "2.1 Scope of it"]], chunks.Select(chunk => chunk.HeadingPath));
        Assert.Equal([1, 2], chunks.Select(chunk => chunk.Page!.Value));
    }

    [Fact]
    public void A_passage_ends_with_its_page()
    {
        const string Text = "Shoals lie north.\n\fThe depth is nine fathoms.\n\fThe lamp burns oil.";
        var chunks = StructureChunker.Chunk(Text, TextFormat.Plain, new ChunkingOptions());
        Assert.Equal([(1, "Shoals lie north."), (2, "The depth is nine fathoms."), (3, "The lamp burns oil.")], chunks.Select(chunk => (chunk.Page!.Value, Text[chunk.Start..chunk.End])));
    }

    [Theory]
    [InlineData(TextFormat.Plain)]
    [InlineData(TextFormat.Markdown)]
    [InlineData(TextFormat.Code)]
    public void Any_text_is_cut_between_words_and_nothing_is_lost(TextFormat format)
    {
        var random = new Random(12);
        string[] pieces = ["word", "two words", "A sentence. ", "\n\n", "\n", "# Head\n", "- item\n", "```\n", "| a | b |\n", "    code\n", "東京に住んでいます。", "longer-identifier_x ", " ", "=====\n", "1. One\n", "😀"];
        for (var i = 0; i < 400; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 200)).Select(_ => pieces[random.Next(pieces.Length)]));
            var options = new ChunkingOptions { TargetCharacters = random.Next(100, 300), MaxCharacters = random.Next(300, 600) };
            var chunks = StructureChunker.Chunk(text, format, options);
            var at = 0;
            foreach (var chunk in chunks)
            {
                Assert.True(string.IsNullOrWhiteSpace(text[at..chunk.Start]), $"lost: {text[at..chunk.Start]}");
                Assert.InRange(chunk.End - chunk.Start, 1, Math.Max(options.MaxCharacters, LongestWord(text)));
                Assert.True(IsWordBreak(text, chunk.Start) && IsWordBreak(text, chunk.End), text[chunk.Start..chunk.End]);
                at = chunk.End;
            }

            Assert.True(string.IsNullOrWhiteSpace(text[at..]));
        }
    }

    [Fact]
    public void A_word_that_nobody_wrote_is_cut()
    {
        var chunks = StructureChunker.Chunk(new string('x', 100_000), TextFormat.Plain, new ChunkingOptions());
        Assert.InRange(chunks.Count, 2, 100);
        Assert.Equal(100_000, chunks.Sum(chunk => chunk.End - chunk.Start));
    }

    private static bool IsWordBreak(string text, int i) =>
        i == 0 || i == text.Length || char.IsWhiteSpace(text[i - 1]) || char.IsWhiteSpace(text[i]) || !char.IsAsciiLetter(text[i - 1]) || !char.IsAsciiLetter(text[i]);

    private static int LongestWord(string text) => text.Split([' ', '\n']).Max(word => word.Length);
}
