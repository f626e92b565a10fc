namespace AgentFlow.Retrieval.Embedding;

/// <summary>The embedding features of one stem: itself and its character n-grams, as hashes.</summary>
/// <param name="Stem">Hash of the whole.</param>
/// <param name="Grams">Hashes of its n-grams in their order; none for a short stem.</param>
/// <param name="GramWeight">Of each n-gram.</param>
internal readonly record struct WordFeatures(ulong Stem, ulong[] Grams, float GramWeight)
{
    private const int GramLength = 4;
    private const float WholeGramWeight = 0.5f;
    private const ulong WordSeed = 0x9E3779B97F4A7C15;
    private const ulong GramSeed = 0xC2B2AE3D27D4EB4F;
    private const ulong FirstGramSeed = 0x165667B19E3779F9;

    public static WordFeatures Of(ReadOnlySpan<char> stem)
    {
        var count = Math.Max(0, stem.Length - GramLength + 1);
        if (count == 0)
            return new WordFeatures(Hash(stem, WordSeed), [], 0);
        var grams = new ulong[count];
        for (var i = 0; i < count; i++)
            grams[i] = Hash(stem.Slice(i, GramLength), i == 0 ? FirstGramSeed : GramSeed);
        var weight = WholeGramWeight / MathF.Sqrt(count);
        return new WordFeatures(Hash(stem, WordSeed), grams, weight * weight);
    }

    private static ulong Hash(ReadOnlySpan<char> text, ulong seed)
    {
        var hash = seed;
        foreach (var c in text)
            hash = (hash ^ c) * 1099511628211UL;
        return hash;
    }
}

/// <summary>
/// Sums of weights by feature, in the order in which features came first (sums of floats depend on it). One for each thread, used again for
/// the next text. Not thread-safe.
/// </summary>
internal sealed class FeatureSums
{
    private const int FirstCapacity = 1_024;

    [ThreadStatic]
    private static FeatureSums? _ofThread;

    private ulong[] _features = new ulong[FirstCapacity];
    private float[] _sums = new float[FirstCapacity];

    /// <summary>1-based positions in <see cref="_features"/>, 0 where nobody is; twice as long as those and a power of two.</summary>
    private int[] _places = new int[FirstCapacity * 2];

    private int _count;

    public ReadOnlySpan<ulong> Features => _features.AsSpan(0, _count);

    public ReadOnlySpan<float> Sums => _sums.AsSpan(0, _count);

    /// <summary>The calling thread's, empty.</summary>
    public static FeatureSums Rent()
    {
        var sums = _ofThread ??= new FeatureSums();

        // A text of a megabyte must not leave its table behind for ever.
        if (sums._features.Length > FirstCapacity * 16)
            sums = _ofThread = new FeatureSums();
        Array.Clear(sums._places);
        sums._count = 0;
        return sums;
    }

    public void Add(ulong feature, float weight)
    {
        var places = _places;
        var mask = places.Length - 1;
        for (var i = (int)((feature * 0x9E3779B97F4A7C15UL) >> 40) & mask; ; i = (i + 1) & mask)
        {
            var at = places[i];
            if (at == 0)
            {
                Append(i, feature, weight);
                return;
            }

            if (_features[at - 1] == feature)
            {
                _sums[at - 1] += weight;
                return;
            }
        }
    }

    private void Append(int place, ulong feature, float weight)
    {
        if (_count == _features.Length)
        {
            Grow();
            Add(feature, weight);
            return;
        }

        _features[_count] = feature;
        _sums[_count] = weight;
        _places[place] = ++_count;
    }

    private void Grow()
    {
        Array.Resize(ref _features, _features.Length * 2);
        Array.Resize(ref _sums, _sums.Length * 2);
        _places = new int[_places.Length * 2];
        var mask = _places.Length - 1;
        for (var at = 0; at < _count; at++)
        {
            var i = (int)((_features[at] * 0x9E3779B97F4A7C15UL) >> 40) & mask;
            while (_places[i] != 0)
                i = (i + 1) & mask;
            _places[i] = at + 1;
        }
    }
}
