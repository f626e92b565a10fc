// Starts Blazor with patience: a server that restarts is found again, and a circuit that is gone is replaced by loading the page anew, which
// attaches to the answer that is being written. Drafts live in the browser, so nothing that was typed is lost.
(() => {
  const attempts = 600;
  const wait = attempt => attempt < 10 ? 300 : attempt < 30 ? 1000 : 3000;
  const modal = () => document.getElementById("components-reconnect-modal");
  const show = state => { const box = modal(); if (box) box.className = "reconnect" + (state ? " components-reconnect-" + state : ""); };

  let reconnecting = false;
  const heal = async () => {
    if (reconnecting) return;
    reconnecting = true;
    show("show");
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        if (await Blazor.reconnect()) { show(null); reconnecting = false; return; }
        location.reload(); // the server is there, the circuit is not
        return;
      } catch { await new Promise(resolve => setTimeout(resolve, wait(attempt))); }
    }
    show("failed");
    reconnecting = false;
  };

  document.addEventListener("click", event => { if (event.target.closest?.("[data-reload]")) location.reload(); });
  Blazor.start({
    circuit: { reconnectionHandler: { onConnectionDown: () => { heal(); }, onConnectionUp: () => { show(null); } } },
  });
})();
