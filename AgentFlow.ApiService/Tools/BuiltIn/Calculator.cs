using System.Globalization;

namespace AgentFlow.ApiService.Tools.BuiltIn;

/// <summary>
/// Evaluates arithmetic: <c>2 * (3 + 4) ^ 2 / -7 % 3</c>, with sqrt, abs, round, floor, ceil, min, max, ln, log10, exp, sin, cos, tan, pi
/// and e. Pure; linear in the text.
/// </summary>
internal sealed class Calculator
{
    private const int MaxDepth = 100;
    private readonly string _text;
    private int _at;
    private int _depth;

    private Calculator(string text) => _text = text;

    /// <exception cref="FormatException">The text is no such expression; the message says where.</exception>
    public static double Evaluate(string expression)
    {
        var calculator = new Calculator(expression);
        var value = calculator.Sum();
        calculator.Skip();
        return calculator._at == expression.Length ? value : throw calculator.Unexpected();
    }

    private double Sum()
    {
        if (++_depth > MaxDepth)
            throw new FormatException("The expression is nested too deeply.");
        var value = Product();
        while (true)
        {
            if (Take('+'))
                value += Product();
            else if (Take('-'))
                value -= Product();
            else
                break;
        }

        _depth--;
        return value;
    }

    private double Product()
    {
        var value = Unary();
        while (true)
        {
            if (Take('*'))
                value *= Unary();
            else if (Take('/'))
                value /= Unary();
            else if (Take('%'))
                value %= Unary();
            else
                return value;
        }
    }

    private double Unary()
    {
        var negative = false;
        while (true)
        {
            if (Take('-'))
                negative = !negative;
            else if (!Take('+'))
                break;
        }

        var value = Power();
        return negative ? -value : value;
    }

    private double Power()
    {
        var value = Atom();
        return Take('^') ? Math.Pow(value, Deeper()) : value;
    }

    /// <summary>Right-associative, and the exponent may carry a sign.</summary>
    private double Deeper()
    {
        if (++_depth > MaxDepth)
            throw new FormatException("The expression is nested too deeply.");
        var value = Unary();
        _depth--;
        return value;
    }

    private double Atom()
    {
        if (Take('('))
        {
            var value = Sum();
            return Take(')') ? value : throw Unexpected();
        }

        Skip();
        var start = _at;
        while (_at < _text.Length && char.IsAsciiLetterOrDigit(_text[_at]) && char.IsAsciiLetter(_text[start]))
            _at++;
        return _at > start ? Named(_text[start.._at]) : Number();
    }

    private double Named(string name) => name switch
    {
        "pi" => Math.PI,
        "e" => Math.E,
        _ => Call(name, Arguments()),
    };

    private double Call(string name, List<double> given) => (name, given.Count) switch
    {
        ("sqrt", 1) => Math.Sqrt(given[0]),
        ("abs", 1) => Math.Abs(given[0]),
        ("round", 1) => Math.Round(given[0], MidpointRounding.AwayFromZero),
        ("floor", 1) => Math.Floor(given[0]),
        ("ceil", 1) => Math.Ceiling(given[0]),
        ("ln", 1) => Math.Log(given[0]),
        ("log10", 1) => Math.Log10(given[0]),
        ("exp", 1) => Math.Exp(given[0]),
        ("sin", 1) => Math.Sin(given[0]),
        ("cos", 1) => Math.Cos(given[0]),
        ("tan", 1) => Math.Tan(given[0]),
        ("min", > 0) => given.Min(),
        ("max", > 0) => given.Max(),
        _ => throw new FormatException($"There is no function '{name}' of {given.Count} arguments."),
    };

    private List<double> Arguments()
    {
        if (!Take('('))
            throw Unexpected();
        var arguments = new List<double> { Sum() };
        while (Take(','))
            arguments.Add(Sum());
        return Take(')') ? arguments : throw Unexpected();
    }

    private double Number()
    {
        var start = _at;
        while (_at < _text.Length && (char.IsAsciiDigit(_text[_at]) || _text[_at] == '.' || IsExponent(start)))
            _at++;
        return _at > start && double.TryParse(_text.AsSpan(start, _at - start), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unexpected();
    }

    private bool IsExponent(int start) =>
        (_text[_at] is 'e' or 'E' && _at > start && _at + 1 < _text.Length && (char.IsAsciiDigit(_text[_at + 1]) || _text[_at + 1] is '+' or '-'))
        || (_text[_at] is '+' or '-' && _at > start && _text[_at - 1] is 'e' or 'E');

    private bool Take(char c)
    {
        Skip();
        if (_at >= _text.Length || _text[_at] != c)
            return false;
        _at++;
        return true;
    }

    private void Skip()
    {
        while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
            _at++;
    }

    private FormatException Unexpected() => new(_at < _text.Length
        ? $"Unexpected '{_text[_at]}' at position {_at + 1}."
        : "The expression ends too early.");
}
