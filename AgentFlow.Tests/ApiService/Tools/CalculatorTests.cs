using AgentFlow.ApiService.Tools.BuiltIn;

namespace AgentFlow.Tests.ApiService.Tools;

public sealed class CalculatorTests
{
    [Theory]
    [InlineData("1 + 2 * 3", 7)]
    [InlineData("(1 + 2) * 3", 9)]
    [InlineData("2 ^ 3 ^ 2", 512)]
    [InlineData("-2 ^ 2", -4)]
    [InlineData("2 ^ -1", 0.5)]
    [InlineData("7 % 4 - 10 / 4", 0.5)]
    [InlineData("1.5e3 + .5", 1500.5)]
    [InlineData("sqrt(16) + max(1, 2, 3) - round(2.5)", 4)]
    [InlineData("--3", 3)]
    [InlineData("2 * pi", 2 * Math.PI)]
    public void Arithmetic_is_evaluated_as_written(string expression, double value) => Assert.Equal(value, Calculator.Evaluate(expression), 12);

    [Theory]
    [InlineData("", "The expression ends too early.")]
    [InlineData("1 +", "The expression ends too early.")]
    [InlineData("1 $ 2", "Unexpected '$' at position 3.")]
    [InlineData("(1", "The expression ends too early.")]
    [InlineData("System.Exit(1)", "Unexpected '.' at position 7.")]
    [InlineData("launch(1)", "There is no function 'launch' of 1 arguments.")]
    public void Anything_else_is_refused_with_its_place(string expression, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => Calculator.Evaluate(expression)).Message);

    [Fact]
    public void Depth_is_limited()
    {
        Assert.Throws<FormatException>(() => Calculator.Evaluate(new string('(', 1_000)));
        Assert.Throws<FormatException>(() => Calculator.Evaluate(string.Concat(Enumerable.Repeat("2^", 1_000)) + "2"));
        Assert.Equal(1, Calculator.Evaluate(new string('-', 1_000) + "1"));
    }
}
