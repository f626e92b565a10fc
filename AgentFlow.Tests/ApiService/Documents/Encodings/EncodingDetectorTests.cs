using System.Text;
using AgentFlow.ApiService.Documents.Extraction;
using Decoders = System.Text.CodePagesEncodingProvider;

namespace AgentFlow.Tests.ApiService.Documents.Encodings;

/// <summary>Texts are written here in Unicode and brought into old encodings by the framework's encoders, which nothing of the detection uses.</summary>
public sealed class EncodingDetectorTests
{
    public static TheoryData<string, int> Known { get; } = [.. EncodingTexts.All.SelectMany(sample => sample.CodePages.Select(page => (sample.Language, page)))];

    [Theory]
    [MemberData(nameof(Known))]
    public void Sentences_are_read_as_they_were_written(string language, int codePage)
    {
        var text = EncodingTexts.All.Single(sample => sample.Language == language).Text;
        Assert.Equal(text, Read(Encode(text, codePage)));
    }

    /// <summary>Alone, in a program and in a table.</summary>
    [Theory]
    [MemberData(nameof(Known))]
    public void Fragments_are_read_as_they_were_written_or_refused(string language, int codePage)
    {
        var sample = EncodingTexts.All.Single(known => known.Language == language);
        foreach (var characters in (int[])[200, 700])
        {
            for (var turn = 0; turn < 3; turn++)
            {
                var text = EncodingTexts.Make(sample, characters, turn % 3, turn * 11);
                var read = TryRead(Encode(text, codePage));
                Assert.True(read == text || (read is null && characters < 700), $"{characters} characters of {language} in {codePage}, {turn}: {read}");
            }
        }
    }

    [Fact]
    public void Few_fragments_of_any_kind_are_refused_and_hardly_any_is_read_wrongly()
    {
        var counts = EncodingTexts.Count(step: 13, TryRead);
        Assert.True(counts.Total > 400, $"{counts}");
        Assert.InRange(counts.Wrong, 0, counts.Total / 100);
        Assert.InRange(counts.Refused, 0, counts.Total / 20);
    }

    [Fact]
    public void Where_the_parts_of_a_file_are_cut_changes_nothing()
    {
        var text = EncodingTexts.Make(EncodingTexts.All.Single(sample => sample.Language == "Japanese"), 3_000, 0, 0);
        foreach (var page in (int[])[932, 50220])
        {
            var bytes = Encode(text, page);
            foreach (var size in (int[])[1, 2, 3, 1_000, 100_000])
            {
                var detector = new EncodingDetector();
                foreach (var part in bytes.Chunk(size))
                    detector.Append(part);
                Assert.Equal(text, detector.Finish().Encoding.GetString(bytes));
            }
        }
    }

    [Fact]
    public void A_line_longer_than_what_is_looked_at_may_end_inside_a_character()
    {
        var text = string.Concat(Enumerable.Repeat("列車の速度は線路の状態によって決まり、雨の後は必ず減速してください。", 1_200)).Insert(0, "a");
        Assert.Equal(text, Read(Encode(text, 932)));
        Assert.Equal(text, Read(Encode(text, 51932)));
    }

    [Theory]
    [InlineData("Russian", "utf-16")]
    [InlineData("Simplified Chinese", "utf-16")]
    [InlineData("Korean", "utf-16BE")]
    public void UTF_16_without_a_mark_is_recognised_in_languages_that_have_few_zero_bytes(string language, string encoding)
    {
        var text = EncodingTexts.Make(EncodingTexts.All.Single(sample => sample.Language == language), 800, 0, 0) + "\n1, 2, 3.\n";
        Assert.Equal(text, Read(Encoding.GetEncoding(encoding).GetBytes(text)));
    }

    /// <summary>Too little to tell by itself, or in an encoding that is never guessed; what the text says of itself decides.</summary>
    [Theory]
    [InlineData("<!doctype html><meta charset=\"windows-1251\"><p>Цена</p>", 1251)]
    [InlineData("<html><head><meta http-equiv='Content-Type' content='text/html; charset=Shift_JIS'></head><p>価格</p>", 932)]
    [InlineData("<?xml version=\"1.0\" encoding=\"ISO-8859-2\"?>\n<a>źle</a>", 28592)]
    [InlineData("@charset \"gb2312\";\n/* 价格 */", 54936)]
    [InlineData("#!/usr/bin/python\n# -*- coding: koi8-r -*-\n# Цена\n", 20866)]
    [InlineData("# vim: set fileencoding=euc-kr :\n# 가격\n", 949)]
    [InlineData("msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset=ISO-8859-2\\n\"\nmsgstr \"Ďábel\"\n", 28592)]
    [InlineData("<meta charset=x-mac-ce><p>Żółw i źdźbło</p>", 10029)]
    public void What_a_text_says_of_itself_decides_where_its_letters_do_not(string text, int codePage)
    {
        Assert.Equal(text, Read(Encode(text, codePage)));
    }

    [Fact]
    public void A_text_that_says_something_false_is_read_as_what_it_is()
    {
        const string Page = "<meta charset=\"shift_jis\"><p>";
        var russian = EncodingTexts.All.Single(sample => sample.Language == "Russian").Text;
        Assert.Equal(Page + russian, Read(Encode(Page + russian, 1251)));
        Assert.Equal(Page + russian, Read(Encoding.UTF8.GetBytes(Page + russian)));
    }

    [Fact]
    public void What_is_no_text_in_any_encoding_is_refused()
    {
        var random = new Random(20261121);
        for (var i = 0; i < 200; i++)
        {
            var bytes = new byte[random.Next(20, 5_000)];
            random.NextBytes(bytes);
            if (i % 2 == 0)
            {
                // No byte that gives it away at once: only letters and what is above ASCII.
                for (var at = 0; at < bytes.Length; at++)
                    bytes[at] = bytes[at] < 0x80 ? (byte)('a' + (bytes[at] % 26)) : bytes[at];
            }

            Assert.Null(TryRead(bytes));
        }
    }

    [Fact]
    public void A_text_that_was_decoded_wrongly_once_is_not_taken_for_another_encoding()
    {
        // UTF-8 whose last character is cut off: every other encoding makes nonsense of it.
        var cut = Encoding.UTF8.GetBytes(EncodingTexts.All.Single(sample => sample.Language == "Russian").Text + "ы")[..^1];
        Assert.Null(TryRead(cut));
        cut = Encoding.UTF8.GetBytes("L'été dernier, la société a été rachetée par une coopérative créée à côté de Bâle, où elle possède déjà un entrepôt à Genève é")[..^1];
        Assert.Null(TryRead(cut));
    }

    private static byte[] Encode(string text, int codePage) =>
        (Decoders.Instance.GetEncoding(codePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)
            ?? Encoding.GetEncoding(codePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)).GetBytes(text);

    private static string Read(byte[] bytes)
    {
        var detector = new EncodingDetector();
        detector.Append(bytes);
        return detector.Finish().Encoding.GetString(bytes);
    }

    private static string? TryRead(byte[] bytes)
    {
        try
        {
            return Read(bytes);
        }
        catch (Exception error) when (error is ExtractionFailedException or DecoderFallbackException)
        {
            return null;
        }
    }
}
