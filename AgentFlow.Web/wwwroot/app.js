// What a server can not do for a page: clipboard, scrolling, drafts, files, keys. Everything is delegated from the document, so it works for
// elements that Blazor adds later, and nothing here knows about components.
(() => {
  "use strict";
  const find = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const words = JSON.parse(document.body.dataset.words || "{}");
  const say = text => words[text] ?? text;

  // ---- clipboard ----
  const copy = async (button, text) => {
    try { await navigator.clipboard.writeText(text); } catch { return; }
    const before = button.getAttribute("aria-label");
    button.classList.add("copied");
    button.setAttribute("aria-label", say("Copied"));
    button.title = say("Copied");
    setTimeout(() => { button.classList.remove("copied"); if (before) { button.setAttribute("aria-label", before); button.title = before; } else { button.removeAttribute("aria-label"); button.title = ""; } }, 1500);
  };

  document.addEventListener("click", event => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const copied = target.closest("[data-copy]");
    if (copied) copy(copied, copied.dataset.copy);
    const code = target.closest("[data-copy-code]");
    if (code) copy(code, find("code", code.closest(".code"))?.textContent ?? "");
    target.closest("[data-wrap]")?.closest(".code")?.classList.toggle("wrap");
    const toggle = target.closest("[data-toggle]");
    if (toggle) document.getElementById(toggle.dataset.toggle)?.classList.toggle("open");
    else if (target.closest("#list a") || !target.closest("#list")) find("#list")?.classList.remove("open");
    for (const menu of all("details[data-menu][open], details.badge-details[open]")) {
      if (!menu.contains(target) || target.closest(".menu-items")) menu.open = false;
    }
    if (target.closest("[data-new-text]")) { const box = thread(); if (box) { box.scrollTop = box.scrollHeight; } }
    const theme = target.closest("[data-theme-choice]");
    if (theme) setTheme(theme.dataset.themeChoice);
  });

  // ---- theme ----
  const setTheme = theme => {
    document.documentElement.dataset.theme = theme;
    document.cookie = `agentflow_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    for (const choice of all("[data-theme-choice]")) choice.setAttribute("aria-pressed", String(choice.dataset.themeChoice === theme));
  };

  const themes = fresh => {
    for (const choice of fresh("[data-theme-choice]:not([aria-pressed])")) choice.setAttribute("aria-pressed", String(choice.dataset.themeChoice === document.documentElement.dataset.theme));
  };

  // ---- following a stream: only while the reader is at the bottom ----
  let follows = true;
  const atBottom = box => box.scrollHeight - box.scrollTop - box.clientHeight < 48;
  document.addEventListener("scroll", event => {
    const box = event.target;
    if (!(box instanceof Element) || !box.matches("[data-follow]")) return;
    follows = atBottom(box);
    const pill = box.nextElementSibling;
    if (follows && pill?.matches("[data-new-text]")) pill.hidden = true;
  }, true);

  let shownThread = "";
  const thread = () => document.getElementById("messages");
  const isWriting = box => {
    for (let last = box.lastElementChild?.lastElementChild; last; last = last.previousElementSibling) {
      const message = last.matches(".messages-part") ? last.lastElementChild : last;
      if (message?.matches(".message")) return message.matches("[aria-busy]");
    }
    return false;
  };
  const settle = () => {
    const box = thread();
    if (!box) return;
    if (shownThread !== location.pathname) { shownThread = location.pathname; follows = true; }
    if (follows) box.scrollTop = box.scrollHeight;
    else if (isWriting(box)) { const pill = box.nextElementSibling; if (pill?.matches("[data-new-text]")) pill.hidden = false; }
  };

  // ---- earlier messages come when the reader gets there, and what was read stays where it is ----
  let watched = null, anchor = null;
  const nearTop = new IntersectionObserver(entries => {
    if (!entries.some(entry => entry.isIntersecting) || follows && thread()?.scrollTop > 400) return;
    const box = thread(), first = box && find(".message", box);
    anchor = first && box.scrollHeight > box.clientHeight ? { first, top: first.getBoundingClientRect().top } : null;
    if (anchor) watched?.click();
  }, { rootMargin: "600px 0px 0px 0px" });
  const earlier = () => {
    if (anchor && anchor.first.isConnected && find(".message", thread()) !== anchor.first) {
      thread().scrollTop += anchor.first.getBoundingClientRect().top - anchor.top;
      anchor = null;
    }
    const button = document.getElementById("earlier");
    if (button === watched) return;
    if (watched) nearTop.unobserve(watched);
    watched = button;
    if (button) nearTop.observe(button);
  };

  // ---- times in the reader's zone ----
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const localise = fresh => {
    for (const time of fresh("time[data-local]")) {
      if (time.dataset.done === time.dateTime) continue;
      time.dataset.done = time.dateTime;
      time.title = time.dateTime;
      time.textContent = zone.format(new Date(time.dateTime));
    }
  };

  // ---- a passage comes into view, a dialog gets the focus ----
  let shownPassage = "";
  const reveal = fresh => {
    const mark = document.getElementById("passage");
    const reader = mark?.closest("[data-reader]");
    if (reader && mark.textContent && shownPassage !== reader.dataset.reader) {
      shownPassage = reader.dataset.reader;
      mark.scrollIntoView({ block: "center" });
    }
    if (!reader) shownPassage = "";
    const tab = thread() ? null : find(".tab[aria-current]:not([data-shown]), .tab[aria-selected=true]:not([data-shown])");
    if (tab) { tab.dataset.shown = ""; tab.scrollIntoView({ block: "nearest", inline: "center" }); }
    const [first] = fresh("[data-autofocus]:not([data-focused])");
    if (first) { first.dataset.focused = ""; first.focus(); }
  };

  // ---- a new page is announced by its heading, unless the person is somewhere else already ----
  let path = location.pathname;
  let left = null;
  let heading = find("h1");
  const arrive = () => {
    if (path !== location.pathname) {
      path = location.pathname;
      left = document.activeElement?.matches("a, body") ? document.activeElement : null;
    }
    const next = find("h1");
    if (next === heading) return;
    heading = next;
    if (!next || !left || (document.activeElement !== left && document.activeElement !== document.body)) return;
    left = null;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
  };

  // ---- drafts: kept per conversation until the page has taken them ----
  let draftKey = null, sentKey = null, begun = false, kept = "";
  const isDown = () => find("#components-reconnect-modal")?.classList.contains("components-reconnect-show") === true;
  const keep = (key, text) => { try { if (text) localStorage.setItem("draft:" + key, text); else localStorage.removeItem("draft:" + key); } catch { /* a full store loses drafts only */ } };
  const tell = (box, text) => { box.value = text; box.dispatchEvent(new Event("input", { bubbles: true })); };
  const drafts = () => {
    const box = document.getElementById("composer");
    if (!box || box.disabled) return;
    if (sentKey !== null && box.value === "") { keep(sentKey, ""); sentKey = null; }
    if (draftKey === box.dataset.draft) {
      // A text that the API refused is back without anybody typing it.
      if (sentKey === null && box.value !== kept) keep(draftKey, kept = box.value);
      return;
    }
    const before = draftKey;
    draftKey = box.dataset.draft;
    if (before === "new" && begun && box.value && find("[data-stop]", box.form)) {
      // The conversation that was begun has got its id while the next question was typed.
      keep("new", "");
      keep(draftKey, box.value);
    } else {
      const draft = localStorage.getItem("draft:" + draftKey);
      if (draft && (!box.value || before !== null)) tell(box, draft);
      else if (!draft && box.value && before !== null) tell(box, "");
    }
    begun = false;
    kept = box.value;
    if (matchMedia("(min-width: 900px)").matches && (document.activeElement === document.body || document.activeElement?.matches("h1"))) box.focus({ preventScroll: true });
  };
  document.addEventListener("input", event => {
    const box = event.target;
    if (box instanceof HTMLTextAreaElement && box.dataset.draft) keep(box.dataset.draft, kept = box.value);
  });
  document.addEventListener("submit", event => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "get") return;
    if (isDown()) { event.preventDefault(); event.stopImmediatePropagation(); return; } // nobody would hear it; what was written stays where it is
    const box = find("[data-draft]", form);
    if (!box) return;
    tell(box, box.value); // what was typed while the connection was down has not been heard
    sentKey = box.dataset.draft;
    begun = sentKey === "new";
    follows = true;
  }, true);

  // A search through the whole page costs milliseconds in a long conversation, and this runs with every word of an answer: so only what has
  // come is searched, and what is looked for in the page has an id.
  const freshOf = records => {
    const come = new Set();
    for (const record of records) {
      for (const node of record.addedNodes) if (node instanceof Element) come.add(node);
      if (record.type !== "childList") { const changed = record.target instanceof Element ? record.target : record.target.parentElement; if (changed) come.add(changed); }
    }
    return selector => [...come].flatMap(element => [...(element.matches(selector) ? [element] : []), ...all(selector, element)]);
  };
  const look = fresh => { settle(); localise(fresh); reveal(fresh); themes(fresh); arrive(); drafts(); carried(); earlier(); };
  new MutationObserver(records => look(freshOf(records))).observe(document, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["datetime"] });

  // ---- "ask about this": a pill at a selection in anything quotable; the text goes to the page's own receiver, or with the reader to the chat ----
  const limit = 20000;
  const pill = document.createElement("button");
  pill.type = "button";
  pill.className = "ask-pill";
  pill.hidden = true;
  pill.dataset.testid = "ask-pill";
  const selected = () => {
    const selection = getSelection();
    if (!selection || selection.isCollapsed || !selection.rangeCount) return null;
    const of = node => (node instanceof Element ? node : node?.parentElement)?.closest("[data-quotable]");
    const place = of(selection.anchorNode);
    const text = selection.toString().trim();
    return place && place === of(selection.focusNode) && text.length > 2 ? { text: text.slice(0, limit), box: selection.getRangeAt(0).getBoundingClientRect() } : null;
  };
  const offer = () => {
    const chosen = selected();
    pill.hidden = !chosen || chosen.box.bottom < 0 || chosen.box.top > innerHeight;
    if (pill.hidden) return;
    pill.textContent = say("Ask about this");
    if (!pill.isConnected) document.body.append(pill);
    const width = pill.offsetWidth, height = pill.offsetHeight;
    pill.style.left = Math.max(8, Math.min(innerWidth - width - 8, chosen.box.left + chosen.box.width / 2 - width / 2)) + "px";
    pill.style.top = Math.max(8, Math.min(innerHeight - height - 8, chosen.box.top - height - 8 > 8 ? chosen.box.top - height - 8 : chosen.box.bottom + 8)) + "px";
  };
  const quote = text => {
    const receiver = find("[data-quote-receiver]");
    if (!receiver) { sessionStorage.setItem("quote", text); const link = find('a[href="/"]'); if (link) link.click(); else location.assign("/"); return; }
    receiver.value = text;
    receiver.dispatchEvent(new Event("change", { bubbles: true }));
    find("[data-draft]")?.focus();
  };
  const ask = () => {
    const chosen = selected();
    pill.hidden = true;
    if (!chosen) return;
    getSelection().removeAllRanges();
    quote(chosen.text);
  };
  const carried = () => {
    const text = sessionStorage.getItem("quote");
    const receiver = text && find("[data-quote-receiver]:not([disabled])");
    if (!receiver) return;
    sessionStorage.removeItem("quote");
    quote(text);
  };
  let offering = 0;
  const offerSoon = () => { clearTimeout(offering); offering = setTimeout(offer, 120); };
  document.addEventListener("selectionchange", offerSoon);
  document.addEventListener("scroll", () => { pill.hidden = true; if (getSelection()?.isCollapsed === false) offerSoon(); }, true);
  pill.addEventListener("pointerdown", event => event.preventDefault());
  pill.addEventListener("click", ask);

  // ---- keys ----
  let leader = 0;
  const sections = { c: "/", d: "/documents", m: "/memories", a: "/agents", t: "/tasks", r: "/rooms", s: "/settings" };
  const typing = target => target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
  const go = href => { const link = find(`a[href="${href}"]`); if (link) link.click(); else location.assign(href); };
  document.addEventListener("keydown", event => {
    const target = event.target;
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && target instanceof HTMLTextAreaElement && target.dataset.draft) {
      event.preventDefault();
      target.form.requestSubmit(find("[data-testid=send]", target.form));
      return;
    }
    if (event.key === "Escape") {
      const open = all("[data-escape]").pop();
      const menu = find("details[data-menu][open]");
      if (menu) { menu.open = false; find("summary", menu).focus(); }
      else if (find("#list.open")) find("#list").classList.remove("open");
      else if (open) open.click();
      else find("[data-stop]")?.click();
      return;
    }
    if (typing(target) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "q" && selected()) { ask(); event.preventDefault(); return; }
    if (event.key === "?") { find("#shortcuts")?.showModal(); event.preventDefault(); }
    else if (event.key === "/") { find("[data-draft]")?.focus(); event.preventDefault(); }
    else if (event.key === "n") { find("[data-new]")?.click(); }
    else if (event.key === "k") { find("#list")?.classList.add("open"); find("[data-search]")?.focus(); event.preventDefault(); }
    else if (event.key === "g") { leader = Date.now(); }
    else if (Date.now() - leader < 1500 && sections[event.key]) { leader = 0; go(sections[event.key]); }
  });

  // ---- files ----
  const pause = ms => new Promise(done => setTimeout(done, ms));
  const token = async () => {
    const response = await fetch("/files/antiforgery", { credentials: "same-origin", cache: "no-store" });
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    return response.text();
  };
  const list = place => find(`[data-uploads="${place}"]`);
  const row = (place, name) => {
    const item = document.createElement("div");
    item.className = "upload";
    const label = document.createElement("span");
    label.className = "upload-name";
    label.textContent = name;
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", say("Upload of") + " " + name);
    const note = document.createElement("span");
    const cancel = document.createElement("button");
    cancel.type = "button";
    cancel.className = "link-button";
    cancel.textContent = say("Cancel");
    item.append(label, bar, cancel, note);
    list(place)?.append(item);
    return { item, bar, note, cancel };
  };
  const megabytes = bytes => (bytes / 1e6).toFixed(bytes < 1e6 ? 2 : 1) + " MB";
  const refresh = place => find(`[data-uploaded="${place}"]`)?.click();
  // Written here and not by FormData, whose boundary is another each time: a try that is made again has to be the same request.
  const formOf = (file, path, collection, boundary) => {
    const name = file.name.replace(/["\r\n]/g, encodeURIComponent);
    const part = (head, body) => [`--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`, body, "\r\n"];
    return new Blob([
      ...(collection ? part('name="collection"', collection) : []),
      ...(path === file.name ? [] : part('name="metadata"', JSON.stringify({ path }))),
      ...part(`name="file"; filename="${name}"\r\nContent-Type: ${file.type || "application/octet-stream"}`, file),
      `--${boundary}--\r\n`,
    ]);
  };
  const post = (form, boundary, antiforgery, key, request, progress) => new Promise(done => {
    request.upload.onprogress = event => progress(event.loaded / event.total);
    request.onerror = () => done({ status: 0 });
    request.onabort = () => done({ status: -1 });
    request.onload = () => {
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch { /* a page instead of an answer */ }
      done({ status: request.status, answer });
    };
    request.open("POST", "/files/documents");
    request.setRequestHeader("RequestVerificationToken", antiforgery);
    request.setRequestHeader("Idempotency-Key", key);
    request.setRequestHeader("Content-Type", "multipart/form-data; boundary=" + boundary);
    request.send(form);
  });
  const tries = 20;
  const passes = ({ status, answer }) => [0, 429, 502, 503, 504].includes(status) || answer?.code === "idempotency_key_in_flight";
  // A folder may hold what can not be read, and what is gone or has no right to be read since it was chosen.
  const isReadable = file => file ? file.slice(0, 1).arrayBuffer().then(() => true, () => false) : false;
  const fail = ({ item, bar, note, cancel }, reason) => {
    cancel.textContent = say("Dismiss");
    cancel.onclick = () => item.remove();
    item.classList.add("bad");
    note.textContent = reason;
    bar.remove();
  };
  const send = async (place, { file, path }, collection) => {
    const entry = row(place, path), { item, bar, note, cancel } = entry;
    if (!await isReadable(file)) return fail(entry, say("This file can not be read."));
    const key = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2) + Date.now();
    const boundary = "agentflow-" + key;
    let request = null, cancelled = false, outcome = { status: 0 };
    cancel.onclick = () => { cancelled = true; request?.abort(); item.remove(); };
    for (let attempt = 0; attempt < tries && !cancelled; attempt++) {
      try {
        const antiforgery = await token();
        request = new XMLHttpRequest();
        outcome = await post(formOf(file, path, collection, boundary), boundary, antiforgery, key, request, share => {
          bar.value = share;
          note.textContent = `${megabytes(file.size * share)} ${say("of")} ${megabytes(file.size)}`;
        });
      } catch { outcome = { status: 0 }; }
      if (!passes(outcome)) break;
      note.textContent = say("AgentFlow does not answer. It is tried again by itself.");
      await pause(Math.min(10000, 500 * 2 ** attempt));
    }
    if (cancelled) return;
    const { status, answer } = outcome;
    const refused = answer?.items?.find(entry => entry.error);
    if (status < 200 || status >= 300 || refused) {
      fail(entry, refused?.error ?? answer?.detail ?? say(passes(outcome) ? "The connection broke. Try again." : "This file could not be uploaded."));
      if (answer?.traceId) {
        const trace = document.createElement("span"), id = document.createElement("code"), button = document.createElement("button");
        trace.className = "trace";
        id.textContent = answer.traceId;
        button.type = "button";
        button.className = "link-button";
        button.dataset.copy = answer.traceId;
        button.textContent = say("Copy");
        trace.append(say("Trace") + " ", id, " ", button);
        item.append(trace);
      }
    } else if (place === "chat") {
      cancel.textContent = say("Dismiss");
      cancel.onclick = () => item.remove();
      note.textContent = say("added to your documents");
      bar.remove();
      setTimeout(() => item.remove(), 6000);
    } else item.remove();
  };
  // What a system or a tool keeps beside the files of a folder (.git, .DS_Store) is left out, and that is said.
  const isHidden = path => path.split("/").some(part => part.startsWith("."));
  // So many that nobody misses the rest without being told, and a page stays usable; chosen by mistake, a whole disk is not walked through.
  const mostFiles = () => Number(document.documentElement.dataset.mostFiles) || 1000;
  const upload = async (place, files) => {
    const collection = place === "documents" ? find("[data-collection]")?.dataset.collection : null;
    const wanted = files.filter(({ file, path }) => path === file?.name || !isHidden(path));
    const hidden = files.length - wanted.length;
    const queue = wanted.slice(0, mostFiles());
    const limit = wanted.length > queue.length ? say("Only the first {0} files were taken. Upload the others in another go.").replace("{0}", queue.length) : "";
    const rest = document.createElement("p");
    rest.className = "soft small";
    rest.dataset.testid = "upload-rest";
    const tell = () => {
      rest.textContent = [queue.length ? `${queue.length} ${say("more files wait")}` : "", hidden ? `${hidden} ${say("hidden files were left out")}` : "", limit].filter(Boolean).join(" · ");
      if (rest.textContent) list(place)?.append(rest); else rest.remove();
    };
    const worker = async () => {
      while (queue.length) {
        const next = send(place, queue.shift(), collection);
        tell();
        await next;
        refresh(place);
      }
    };
    tell();
    await Promise.all([worker(), worker()]);
    refresh(place);
  };
  const chosen = file => ({ file, path: file.webkitRelativePath || file.name });
  // One after the other until there is one more than will be taken. A folder's reader gives at most a hundred entries at a time; hidden folders are not looked into.
  const within = async (entry, found) => {
    const path = entry.fullPath.slice(1);
    if (entry.isFile || isHidden(path)) found.push({ file: isHidden(path) ? null : await new Promise(done => entry.file(done, () => done(null))), path });
    else {
      const reader = entry.createReader();
      const more = () => new Promise(done => reader.readEntries(done, () => { found.push({ file: null, path }); done([]); }));
      for (let some; (some = await more()).length;) for (const one of some) if (found.length <= mostFiles()) await within(one, found);
    }
    return found;
  };
  document.addEventListener("change", event => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.dataset.upload) return;
    upload(input.dataset.upload, [...input.files].map(chosen));
    input.value = "";
  });
  const zoneOf = event => event.dataTransfer?.types.includes("Files") ? find("[data-drop]") : null;
  document.addEventListener("dragover", event => { const drop = zoneOf(event); if (drop) { event.preventDefault(); drop.classList.add("dropping"); } });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) find(".dropping")?.classList.remove("dropping"); });
  document.addEventListener("drop", event => {
    const drop = zoneOf(event);
    if (!drop) return;
    event.preventDefault();
    drop.classList.remove("dropping");
    // To be asked for now: after the event they are gone.
    const place = drop.dataset.drop, files = [...event.dataTransfer.files];
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some(entry => entry.isDirectory)) upload(place, files.map(chosen));
    else (async () => {
      const found = [];
      for (const entry of entries) await within(entry, found);
      await upload(place, found);
    })();
  });

  look(selector => all(selector));

  // ---- a page that can not go on is loaded anew, as soon as the server answers and ever more seldom; drafts and answers are kept ----
  const broken = document.getElementById("blazor-error-ui");
  let renewing = false;
  const renew = async () => {
    if (renewing) return;
    renewing = true;
    broken.style.display = "block";
    const before = JSON.parse(sessionStorage.getItem("renewals") || "[]").filter(at => Date.now() - at < 300000);
    let wait = before.length ? Math.min(30000, 1000 * 2 ** before.length) : 0;
    for (let answers = false; !answers; wait = Math.min(10000, Math.max(500, wait * 2))) {
      await pause(wait);
      try { answers = (await fetch("/health", { cache: "no-store" })).ok; } catch { /* not there yet */ }
    }
    sessionStorage.setItem("renewals", JSON.stringify([...before, Date.now()]));
    location.reload();
  };
  if (broken) {
    // Blazor shows it when the page's circuit has failed; that a circuit could not be made in the first place is told to nobody.
    new MutationObserver(() => { if (broken.style.display === "block") renew(); }).observe(broken, { attributes: true, attributeFilter: ["style"] });
    addEventListener("unhandledrejection", () => { if (find(".stage[inert]")) renew(); });
  }
})();
