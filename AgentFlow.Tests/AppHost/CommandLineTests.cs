using AgentFlow.AppHost.Local;

namespace AgentFlow.Tests.AppHost;

public sealed class CommandLineTests
{
    [Fact]
    public void Options_are_read_in_any_order() =>
        Assert.Equal(new CommandLine(Reset: true, NoWeb: true, Help: false), CommandLine.Parse(["--no-web", "--reset"]));

    [Fact]
    public void An_unknown_option_is_refused_with_the_known_ones()
    {
        var refusal = Assert.Throws<StartRefusedException>(() => CommandLine.Parse(["--rest"]));
        Assert.Equal("Unknown option '--rest'. The options are --reset, --no-web and --help.", refusal.Message);
    }

    [Theory]
    [InlineData("KEY=value", "KEY", "value")]
    [InlineData("  export KEY = \"two words\" ", "KEY", "two words")]
    [InlineData("KEY='a=b#c'", "KEY", "a=b#c")]
    public void A_line_of_the_env_file_is_a_key_and_a_value(string line, string key, string value) =>
        Assert.Equal((key, value), DotEnv.Parse(line));

    [Theory]
    [InlineData("")]
    [InlineData("# KEY=value")]
    [InlineData("KEY=")]
    [InlineData("no assignment")]
    public void Other_lines_of_the_env_file_say_nothing(string line) => Assert.Null(DotEnv.Parse(line));
}
