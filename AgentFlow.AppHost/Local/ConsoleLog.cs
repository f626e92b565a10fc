using System.Globalization;
using System.Text;
using System.Threading.Channels;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// The console, with every process's lines under its own prefix and colour. One writer; what can not be written in time (a paused
/// terminal, a stuck pipe) is dropped and counted here, never in the files, and never holds a service up.
/// </summary>
internal sealed class ConsoleLog : IAsyncDisposable
{
    /// <summary>Lines that may wait for the terminal before the oldest are dropped.</summary>
    private const int Waiting = 10_000;
    private const int PrefixWidth = 9;
    private const string Own = "agentflow";

    private static readonly string[] Colours = ["36", "32", "35", "33", "34", "96", "92"];

    private readonly Channel<string> _lines;
    private readonly bool _coloured = !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is not { Length: > 0 };
    private readonly Task _writing;
    private int _dropped;

    /// <param name="output">Where the lines go; the console when null.</param>
    public ConsoleLog(Stream? output = null)
    {
        _lines = Channel.CreateBounded<string>(
            new BoundedChannelOptions(Waiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            _ => Interlocked.Increment(ref _dropped));
        _writing = WriteAsync(output ?? Console.OpenStandardOutput());
    }

    /// <summary>A line of the AppHost itself.</summary>
    public void Say(string line)
    {
        foreach (var each in line.Split('\n'))
            Write(Own, each);
    }

    public void Write(string name, string line) => _lines.Writer.TryWrite(Prefix(name) + line);

    /// <summary>A line without a prefix, for people and scripts that look for exactly this text.</summary>
    public void Announce(string line) => _lines.Writer.TryWrite(line);

    /// <summary>Writes what is waiting, for at most a second.</summary>
    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await Task.WhenAny(_writing, Task.Delay(TimeSpan.FromSeconds(1)));
    }

    private string Prefix(string name)
    {
        var padded = name.PadRight(PrefixWidth);
        if (!_coloured)
            return padded + " | ";
        var colour = name == Own ? "1" : Colours[name.Sum(letter => letter) % Colours.Length];
        return string.Create(CultureInfo.InvariantCulture, $"\e[{colour}m{padded}\e[0m | ");
    }

    private async Task WriteAsync(Stream output)
    {
        await Task.Yield();
        var text = new StringBuilder();
        while (await _lines.Reader.WaitToReadAsync())
        {
            text.Clear();
            if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped)
                text.Append(CultureInfo.InvariantCulture, $"{Own} | {dropped} lines were dropped here; the log files have them\n");
            while (text.Length < 64 * 1024 && _lines.Reader.TryRead(out var line))
                text.Append(line).Append('\n');
            await output.WriteAsync(Encoding.UTF8.GetBytes(text.ToString()));
        }
    }
}
