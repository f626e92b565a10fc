using System.Collections.Frozen;
using System.Globalization;

namespace AgentFlow.Retrieval.Text;

/// <summary>
/// Folds case, Latin, Greek and Cyrillic diacritics, ligatures, full-width and superscript forms, so that "Müller", "MULLER" and
/// "mu" + U+0308 + "ller" are one word. The process runs with invariant globalization, where <see cref="string.Normalize()"/> leaves
/// anything beyond ASCII as it is; the table is taken from the compatibility decompositions of Unicode 15. Signs that are letters of
/// their own (Thai and Indic vowels, Japanese voicing marks) stay.
/// </summary>
internal static class CharFolding
{
    // Each line: what is written for the characters after the space.
    private const string Table = """
        0 ⁰₀
        1 ¹₁
        2 ²₂
        3 ³₃
        4 ⁴₄
        5 ⁵₅
        6 ⁶₆
        7 ⁷₇
        8 ⁸₈
        9 ⁹₉
        a ªàáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặₐ
        ae æǣǽ
        b ḃḅḇ
        c çćĉċčḉⅽ
        d ðďđḋḍḏḑḓⅾ
        dz ǆǳ
        e èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệₑ
        f ḟ
        ff ﬀ
        ffi ﬃ
        ffl ﬄ
        fi ﬁ
        fl ﬂ
        g ĝğġģǧǵḡ
        h ĥħȟḣḥḧḩḫẖₕ
        i ìíîïĩīĭįİıǐȉȋḭḯỉịⁱⅰ
        ii ⅱ
        iii ⅲ
        ij ĳ
        iv ⅳ
        ix ⅸ
        j ĵǰ
        k ķĸǩḱḳḵₖ
        l ĺļľŀłḷḹḻḽₗⅼ
        lj ǉ
        m ḿṁṃₘⅿ
        n ñńņňŋǹṅṇṉṋⁿₙ
        nj ǌ
        o ºòóôõöøōŏőơǒǫǭǿȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợₒ
        oe œ
        p ṕṗₚ
        r ŕŗřȑȓṙṛṝṟ
        s śŝşšſșṡṣṥṧṩẛₛ
        ss ß
        st ﬅﬆ
        t ţťŧțṫṭṯṱẗₜ
        th þ
        u ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự
        v ṽṿⅴ
        vi ⅵ
        vii ⅶ
        viii ⅷ
        w ŵẁẃẅẇẉẘ
        x ẋẍₓⅹ
        xi ⅺ
        xii ⅻ
        y ýÿŷȳẏẙỳỵỷỹ
        z źżžẑẓẕ
        ə ₔ
        ʒ ǯ
        α άἀἁἂἃἄἅἆἇὰάᾀᾁᾂᾃᾄᾅᾆᾇᾰᾱᾲᾳᾴᾶᾷ
        β ϐ
        ε έϵἐἑἒἓἔἕὲέ
        η ήἠἡἢἣἤἥἦἧὴήᾐᾑᾒᾓᾔᾕᾖᾗῂῃῄῆῇ
        θ ϑ
        ι ΐίϊἰἱἲἳἴἵἶἷὶίιῐῑῒΐῖῗ
        κ ϰ
        μ µ
        ο όὀὁὂὃὄὅὸό
        π ϖ
        ρ ϱῤῥ
        σ ςϲ
        υ ΰϋύϒϓϔὐὑὒὓὔὕὖὗὺύῠῡῢΰῦῧ
        φ ϕ
        ω ώὠὡὢὣὤὥὦὧὼώᾠᾡᾢᾣᾤᾥᾦᾧῲῳῴῶῷ
        а ӑӓ
        г ѓ
        е ѐёӗ
        ж ӂӝ
        з ӟ
        и йѝӣӥ
        к ќ
        о ӧ
        у ўӯӱӳ
        ч ӵ
        ы ӹ
        э ӭ
        і ї
        ѵ ѷ
        ә ӛ
        ө ӫ
        """;

    private static readonly FrozenDictionary<char, string> Folds = Parse();

    /// <summary>True for marks that fold away when they follow a letter.</summary>
    public static bool IsDroppedMark(char c) =>
        c is (>= '\u0300' and <= '\u036F') or (>= '\u064B' and <= '\u0652') or (>= '\u0591' and <= '\u05BD') or '\u0640' or '\u00AD' or '\u200D' or '\u200C';

    /// <summary>Writes the folded form of a character.</summary>
    /// <param name="destination">Room for at least four characters.</param>
    /// <returns>How many were written: 0 for a dropped mark, up to 4 for ligatures.</returns>
    public static int Fold(char c, Span<char> destination)
    {
        if (c < 0x80)
        {
            destination[0] = c is >= 'A' and <= 'Z' ? (char)(c | 0x20) : c;
            return 1;
        }

        if (c is >= '\uFF01' and <= '\uFF5E')
            return Fold((char)(c - 0xFEE0), destination);
        if (IsDroppedMark(c))
            return 0;
        var lower = char.ToLowerInvariant(c);
        if (Folds.TryGetValue(lower, out var folded) || Folds.TryGetValue(c, out folded))
        {
            folded.CopyTo(destination);
            return folded.Length;
        }

        if (char.GetUnicodeCategory(lower) == UnicodeCategory.DecimalDigitNumber && CharUnicodeInfo.GetDecimalDigitValue(lower) is >= 0 and var digit)
            lower = (char)('0' + digit);
        destination[0] = lower;
        return 1;
    }

    private static FrozenDictionary<char, string> Parse()
    {
        var folds = new Dictionary<char, string>();
        foreach (var line in Table.Split('\n'))
        {
            var space = line.IndexOf(' ');
            foreach (var c in line.AsSpan(space + 1))
                folds[c] = line[..space];
        }

        return folds.ToFrozenDictionary();
    }
}
