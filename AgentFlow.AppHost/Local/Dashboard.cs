using System.Globalization;

namespace AgentFlow.AppHost.Local;

/// <summary>The Aspire dashboard, started by the <c>aspire</c> program: traces, metrics and logs of every service.</summary>
internal sealed record Dashboard(string Program, int Port, int OtlpGrpcPort, int OtlpHttpPort)
{
    public const string HowToGet = "Telemetry: no `aspire` on PATH, so no dashboard (npm install --global @microsoft/aspire-cli-linux-x64 brings it)";

    private const int UsualPort = 18_888;
    private const int UsualOtlpGrpcPort = 4317;
    private const int UsualOtlpHttpPort = 4318;

    /// <summary>Null without the program.</summary>
    public static Dashboard? Find()
    {
        if ((Tool.FindOnPath("aspire") ?? Tool.FindOnPath("aspire-cli-linux-x64")) is not { } program)
            return null;
        return new Dashboard(program, Ports.FreeOr(UsualPort), Ports.FreeOr(UsualOtlpGrpcPort), Ports.FreeOr(UsualOtlpHttpPort));
    }

    public Uri Address => Local(Port);

    public Uri OtlpEndpoint => Local(OtlpGrpcPort);

    public IReadOnlyList<string> Command => Guard.Before("TERM",
    [
        Program, "dashboard", "run", "--allow-anonymous", "--non-interactive", "--nologo",
        "--frontend-url", Address.ToString(), "--otlp-grpc-url", OtlpEndpoint.ToString(), "--otlp-http-url", Local(OtlpHttpPort).ToString(),
    ]);

    private static Uri Local(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://localhost:{port}"));
}
