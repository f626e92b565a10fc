using AgentFlow.AppHost.Local;

namespace AgentFlow.Tests.AppHost;

public sealed class SecretsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Secrets_are_made_once_and_only_their_user_can_read_them()
    {
        var made = Secrets.LoadOrCreate(_folder.Path);
        Assert.Equal(made, Secrets.LoadOrCreate(_folder.Path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["secrets.json"]));
        Assert.Equal(4, new[] { made.PostgresPassword, made.QdrantKey, made.SetupToken, made.SigningKeys }.Distinct().Count());
        Assert.Equal(32, Convert.FromBase64String(made.SigningKeys["k1:".Length..]).Length);
    }

    [Fact]
    public void A_file_that_others_could_read_is_closed_to_them()
    {
        Secrets.LoadOrCreate(_folder.Path);
        File.SetUnixFileMode(_folder["secrets.json"], (UnixFileMode)0b110_100_100);
        Secrets.LoadOrCreate(_folder.Path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["secrets.json"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"setupToken\": \"x\"}")]
    public void A_damaged_file_is_refused_and_left_alone(string content)
    {
        File.WriteAllText(_folder["secrets.json"], content);
        Assert.Throws<StartRefusedException>(() => Secrets.LoadOrCreate(_folder.Path));
        Assert.Equal(content, File.ReadAllText(_folder["secrets.json"]));
    }
}
