using System.Collections.Frozen;

namespace AgentFlow.Retrieval.Text;

/// <summary>The stemmer's own exceptions, and English irregular forms, which no suffix rule can reach ("went" is searched as "go").</summary>
internal static class StemExceptions
{
    // "lives" and "leaves" are two words each; both are found, since "Where does she live?" must find "She lives in Lisbon".
    private const string Irregular = """
        arise arose arisen|be been|bear bore borne|beat beaten|become became|begin began begun|bend bent|bet|bite bit bitten|bleed bled|blow blew blown
        break broke broken|breed bred|bring brought|build built|burn burnt|buy bought|catch caught|choose chose chosen|come came|creep crept|deal dealt
        dig dug|draw drew drawn|dream dreamt|drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed|feel felt|fight fought
        find found|flee fled|fly flew flown flies|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|get got gotten
        give gave given|go went gone goes|grind ground|grow grew grown|hang hung|hear heard|hide hid hidden|hold held|keep kept|kneel knelt|know knew known
        lay laid|lead led|lean leant|leap leapt|learn learnt|leave left leaves leaf|lend lent|lose lost|make made|mean meant|meet met|pay paid|ride rode ridden
        ring rang rung|rise rose risen|run ran|say said|see saw seen|seek sought|sell sold|send sent|shake shook shaken|shine shone|shoot shot|show shown
        shrink shrank shrunk|sing sang sung|sink sank sunk|sit sat|sleep slept|slide slid|speak spoke spoken|spend spent|spin spun|stand stood|steal stole stolen
        stick stuck|sting stung|strike struck|swear swore sworn|sweep swept|swim swam swum|swing swung|take took taken|teach taught|tear tore torn
        tell told|think thought|throw threw thrown|understand understood|wake woke woken|wear wore worn|weave wove woven|weep wept|win won|wind wound|withdraw withdrew withdrawn
        write wrote written|child children|man men|woman women|person people|foot feet|tooth teeth|mouse mice|goose geese|wife wives|live lives life|knife knives
        half halves|shelf shelves|wolf wolves|calf calves|thief thieves|criterion criteria|phenomenon phenomena|index indices|matrix matrices
        vertex vertices|analysis analyses|crisis crises|thesis theses|datum data|good better best|bad worse worst|colour color|favourite favorite|centre center
        """;

    private const string Snowball =
        "skis ski|skies sky|dying die|lying lie|tying tie|idly idl|gently gentl|ugly ugli|early earli|only onli|singly singl|sky sky|news news|howe howe|" +
        "atlas atlas|cosmos cosmos|bias bias|andes andes";

    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> Unchanged =
        ((string[])["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"]).ToFrozenSet().GetAlternateLookup<ReadOnlySpan<char>>();

    // After the set above, which the suffix rules that it is computed with look at.
    private static readonly FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> Stems =
        Parse().ToFrozenDictionary().GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Replaces a word that is an exception by its stem.</summary>
    public static bool TryStem(Span<char> word, out int length)
    {
        length = word.Length;
        if (!Stems.TryGetValue(word, out var stem))
            return false;
        stem.CopyTo(word);
        length = stem.Length;
        return true;
    }

    public static bool StaysAfterPlural(ReadOnlySpan<char> word) => word.Length is >= 6 and <= 7 && Unchanged.Contains(word);

    private static Dictionary<string, string> Parse()
    {
        var stems = new Dictionary<string, string>();
        foreach (var pair in Snowball.Split('|'))
        {
            var space = pair.IndexOf(' ');
            stems[pair[..space]] = pair[(space + 1)..];
        }

        Span<char> buffer = stackalloc char[64];
        foreach (var group in Irregular.Split(['|', '\n']))
        {
            var forms = group.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            forms[0].CopyTo(buffer);

            // Parsed while the table is being built, so the base form must not be an exception itself.
            var stem = EnglishStemmer.StemRegular(buffer[..forms[0].Length]);
            foreach (var form in forms.Skip(1).Where(form => form.Length >= stem))
                stems.TryAdd(form, buffer[..stem].ToString());
        }

        return stems;
    }
}
