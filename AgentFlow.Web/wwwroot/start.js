// Starts Blazor with patience: a server that restarts is found again, and a circuit that is gone is replaced by loading the page anew, which
// attaches to the answer that is being written. Drafts live in the browser, so nothing that was typed is lost.
(() => {
  // After half a minute the page says that it takes long, and offers to be loaded anew; it goes on by itself all the same, ever more seldom.
  const patience = 30;
  const wait = attempt => attempt < 10 ? 300 : attempt < patience ? 1000 : Math.min(15000, 1500 * 1.2 ** (attempt - patience));
  const modal = () => document.getElementById("components-reconnect-modal");
  const show = state => { const box = modal(); if (box) box.className = "reconnect" + (state ? " components-reconnect-" + state : ""); };

  let reconnecting = false;
  const heal = async () => {
    if (reconnecting) return;
    reconnecting = true;
    show("show");
    for (let attempt = 0; ; attempt++) {
      if (attempt === patience) show("failed");
      try {
        if (await Blazor.reconnect()) { show(null); reconnecting = false; return; }
        location.reload(); // the server is there, the circuit is not
        return;
      } catch { await new Promise(resolve => setTimeout(resolve, wait(attempt))); }
    }
  };

  document.addEventListener("click", event => { if (event.target.closest?.("[data-reload]")) location.reload(); });
  Blazor.start({
    circuit: { reconnectionHandler: { onConnectionDown: () => { heal(); }, onConnectionUp: () => { show(null); } } },
  });
})();
