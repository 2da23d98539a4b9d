// The desk works without this. With it pages renew as files are saved, pieces can be dragged, and lengths are counted while typing.
"use strict";
(() => {
  const live = () => document.getElementById("live");
  const say = (text, link) => {
    const box = live(); box.textContent = text; box.hidden = !text;
    if (link) { const a = document.createElement("a"); a.href = link[1]; a.textContent = link[0]; a.target = "_blank"; a.rel = "noopener"; box.append(" ", a); }
  };
  const sayLater = (text) => { const timer = setTimeout(() => say(text), 400); return () => clearTimeout(timer); };
  let asked = 0, quiet = () => {};

  // --- renewing: the page is asked for again and its parts are put in the place of the old ones; where you were, you stay ---
  const SWAPPED = ["main"];
  async function renew(what) {
    if (working) { later = what; return; }
    if (typed().length) { say(`Saved: ${what}. You are typing, so this page stays as it is until you save or reload.`); return; }
    const mine = ++asked, begun = performance.now();
    quiet(); quiet = sayLater(`Saved: ${what}. It is being composed; until then you see what was before.`);
    let answer;
    try { answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }); } catch { if (mine === asked) quiet(); return; }
    if (mine !== asked) return;
    const next = await pageOf(answer);
    if (mine !== asked) return;
    quiet();
    if (!next) return;
    if (typed().length || working) { say(`Saved: ${what}. You are typing, so this page stays as it is until you save or reload.`); return; }
    say("");
    put(next);
    document.documentElement.dataset.renewed = String(Math.round(performance.now() - begun));
  }

  // An answer that is a page of this desk; null where it is something else, which is said then: what stands on the page stays.
  async function pageOf(answer) {
    const text = await answer.text();
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) { say(text); return null; }
    const next = new DOMParser().parseFromString(text, "text/html"), at = new URL(answer.url);
    if (next.body.dataset.events === document.body.dataset.events) return next;
    const words = "You are no longer logged in, and nothing was saved. What you wrote is still here: log in on another page, come back, and press the button again:";
    if (answer.redirected) say(words, ["log in", at.pathname + at.search]); else say(wordsOf(next));
    return null;
  }
  const wordsOf = (page) => { const box = page.querySelector("main [role=alert]") || page.querySelector("main") || page.body; return box.textContent.replace(/\s+/g, " ").trim(); };

  function put(next, sent) {
    const kept = typed(sent), spot = here(), x = scrollX, y = scrollY;
    for (const id of SWAPPED) {
      const old = document.getElementById(id), fresh = document.getElementById(id) && next.getElementById(id);
      if (!fresh) continue;
      const opened = new Set([...old.querySelectorAll("details[open]")].map(named));
      for (const one of fresh.querySelectorAll("details")) if (opened.has(named(one))) one.open = true;
      keepFrames(old, fresh);
      if (window.htmx) htmx.process(old);
    }
    document.title = next.title;
    if (next.body.dataset.news) document.body.dataset.news = next.body.dataset.news;
    putBack(kept);
    goTo(spot);
    scrollTo(x, y);
  }
  const named = (one) => { const words = one.querySelector("summary"), row = one.closest("[data-piece]"); return (row ? row.dataset.piece : "") + "\0" + (words ? words.textContent : ""); };

  // A frame that is taken out of the page and put back loads anew and loses its place: those that stay are left where they are.
  function keepFrames(old, fresh) {
    const frame = old.querySelector("iframe#mail"), coming = fresh.querySelector("iframe#mail");
    if (!frame || !coming || !sameWay(frame, old, coming, fresh)) { old.replaceChildren(...document.adoptNode(fresh).childNodes); return; }
    swapAround(old, fresh, frame, coming);
    for (const name of ["width", "height", "title"]) if (frame.getAttribute(name) !== coming.getAttribute(name)) frame.setAttribute(name, coming.getAttribute(name));
    if (frame.getAttribute("src") !== coming.getAttribute("src")) exchange(frame, coming.getAttribute("src"));
  }
  const way = (el, top) => { const names = []; for (; el && el !== top; el = el.parentElement) names.unshift(el.tagName + "." + el.className.replace(" stack", "").trim()); return names.join(">"); };
  const sameWay = (a, topA, b, topB) => way(a, topA) === way(b, topB);
  function swapAround(old, fresh, frame, coming) {
    const next = [...fresh.childNodes], has = [...old.children].find((el) => el.contains(frame)), hasNext = [...fresh.children].find((el) => el.contains(coming));
    for (const node of [...old.childNodes]) if (node !== has) node.remove();
    let after = false;
    for (const node of next) {
      if (node === hasNext) { after = true; continue; }
      if (after) old.append(node); else old.insertBefore(node, has);
    }
    if (has !== frame) {
      for (const { name, value } of [...hasNext.attributes]) if (has.getAttribute(name) !== value && !(name === "class" && has.classList.contains("stack"))) has.setAttribute(name, value);
      swapAround(has, hasNext, frame, coming);
    }
  }
  // The new email is loaded behind the old one and takes its place once it is there: nothing flickers, nothing jumps.
  function exchange(frame, src) {
    const holder = frame.parentElement, next = frame.cloneNode();
    for (const one of holder.querySelectorAll("iframe.coming")) one.remove();
    next.removeAttribute("id"); next.classList.add("coming"); next.setAttribute("aria-hidden", "true"); next.tabIndex = -1; next.setAttribute("src", src);
    holder.classList.add("stack");
    next.addEventListener("load", () => {
      frame.remove(); next.classList.remove("coming"); next.removeAttribute("aria-hidden"); next.removeAttribute("tabindex"); next.id = "mail"; holder.classList.remove("stack");
      document.documentElement.dataset.shown = String(Date.now());
    }, { once: true });
    holder.append(next);
  }

  function listen() {
    if (!document.body.hasAttribute("data-live")) return;
    const source = new EventSource(document.body.dataset.events);
    let lost = false;
    // What was saved between the page's making and its listening is not lost: both know how much had been told.
    source.addEventListener("begun", (event) => { if (lost) say(""); if (lost || event.data !== document.body.dataset.news) renew("files"); lost = false; });
    source.addEventListener("saved", (event) => renew(event.data));
    source.addEventListener("error", () => { lost = true; say("The desk has ended or cannot be reached; what you see stays as it is."); });
    addEventListener("pagehide", () => source.close());
  }

  // --- forms: what is typed is not thrown away by anything but its own button, and lengths are counted as readers see them ---
  const segments = window.Intl && Intl.Segmenter ? new Intl.Segmenter() : null;
  const length = (text) => (segments ? [...segments.segment(text)].length : [...text].length);
  function measure(el) {
    if (!el.dataset.high && !el.dataset.most) return;
    const n = length(el.value), low = +el.dataset.low || 0, high = +el.dataset.high, most = +el.dataset.most;
    const meter = document.getElementById(`${el.id}-meter`), words = document.getElementById(`${el.id}-count`);
    if (meter) meter.value = Math.min(n, high ? high * 2 : most * 2);
    const judged = most && n > most ? `: too long, at most ${most}` : n && n < low ? ": short" : high && n > high ? ": many programs cut it" : "";
    if (words) words.textContent = `${n} characters${judged}`;
  }
  document.addEventListener("input", (event) => { if (event.target.dataset) measure(event.target); });

  // What a form is about: the same on the next page, wherever the piece stands there.
  const value = (form, name) => { const el = form.elements[name]; return el && typeof el.value === "string" ? el.value : ""; };
  const about = (form) => { const what = value(form, "do"); return what === "place" ? what : [form.getAttribute("action"), what, value(form, "piece"), value(form, "interest_id"), value(form, "only")].join("\0"); };
  const forms = () => [...document.querySelectorAll("#main form[method=post]")];
  const ofKey = (key) => { const found = forms().filter((form) => about(form) === key); return found.find((form) => !form.closest("[role=alert]")) || found[0]; };
  const ticked = (el) => el.type === "checkbox" || el.type === "radio";
  const fields = (form) => [...form.elements].filter((el) => el.name && (el.tagName === "TEXTAREA" || (el.tagName === "INPUT" && !["hidden", "submit", "button"].includes(el.type) && !el.readOnly)));
  const line = (el, text) => text.replace(/\r?\n/g, el.tagName === "TEXTAREA" ? "\n" : "");
  const now = (el) => (ticked(el) ? String(el.checked) : el.value);
  const saved = (el) => (ticked(el) ? String(el.defaultChecked) : line(el, "saved" in el.dataset ? el.dataset.saved : el.defaultValue));
  const slot = (el) => (ticked(el) ? `${el.name}=${el.value}` : el.name);
  const state = (form, of) => Object.fromEntries(fields(form).map((el) => [slot(el), of(el)]));

  // The forms with something in them that is not saved. What `sent` took along counts as saved.
  function typed(sent) {
    const found = [];
    for (const form of forms()) {
      const key = about(form), was = state(form, saved);
      if (sent && sent.key === key) Object.assign(was, sent.state);
      const has = Object.fromEntries(fields(form).filter((el) => now(el) !== was[slot(el)]).map((el) => [slot(el), now(el)]));
      if (Object.keys(has).length) found.push({ form, key, was, has, seen: value(form, "seen"), stale: "stale" in form.dataset && !(sent && sent.key === key) });
    }
    return found;
  }
  const same = (a, b) => Object.keys(a).every((name) => !(name in b) || a[name].trim() === b[name].trim());
  function putBack(kept) {
    const lost = [];
    for (const { key, was, has, seen, stale } of kept) {
      const form = ofKey(key);
      if (!form) { lost.push(...Object.values(has)); continue; }
      // Somebody changed the same meanwhile: this text was written without having seen that, and saving it will say so.
      if (form.elements.seen && (stale || !same(was, state(form, saved)))) { form.elements.seen.value = seen; form.dataset.stale = ""; }
      for (const el of fields(form)) {
        if (!(slot(el) in has)) continue;
        if (ticked(el)) el.checked = has[slot(el)] === "true"; else el.value = has[slot(el)];
        measure(el);
        for (let box = el.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
      }
    }
    if (lost.length) say(`What you were writing has no place here any more; take it with you: ${lost.join(" / ")}`);
  }
  function here() {
    const el = document.activeElement, form = el && el.form;
    if (!form || !form.closest("#main")) return { id: el && el.id };
    const caret = el.tagName === "TEXTAREA" || el.type === "text" ? [el.selectionStart, el.selectionEnd] : null;
    return { key: about(form), slot: el.name ? slot(el) : "", id: el.id, caret };
  }
  function goTo(spot) {
    const form = spot.key && ofKey(spot.key);
    const el = form ? (spot.slot ? fields(form).find((one) => slot(one) === spot.slot) : form.querySelector("button")) : spot.key ? null : spot.id && document.getElementById(spot.id);
    if (!el) return;
    el.focus({ preventScroll: true });
    if (spot.caret && el.setSelectionRange) el.setSelectionRange(...spot.caret);
  }

  // A form that takes us to another page takes along what is in it; what is in others is asked about.
  let leaving = null;
  addEventListener("beforeunload", (event) => {
    if (working || typed().some((one) => one.form !== leaving)) event.preventDefault();
    leaving = null;
  });

  // Steps on the edit page are answered in their place, one after another: the next one is of the page that the last one made.
  const queue = [];
  let working = false, later = "";
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (!document.querySelector(".edit-main") || !form.getAttribute("action").endsWith("/edit") || !window.fetch) { leaving = form; return; }
    event.preventDefault();
    const button = event.submitter, data = new URLSearchParams(new FormData(form, button || undefined));
    queue.push({ key: about(form), form, data, state: state(form, now), button, action: form.getAttribute("action"), back: moveBack });
    moveBack = null;
    work();
  });
  async function work() {
    if (working) return;
    working = true; document.body.classList.add("busy");
    let item;
    while ((item = queue.shift())) {
      const hush = sayLater("Saving …"), done = await step(item).catch(() => { say("That failed; what you wrote is still here. Reload the page to see what was saved."); return false; });
      hush();
      if (done) continue;
      if (item.back) item.back();
      if (queue.length) live().append(` ${queue.length} more of what you pressed was not done.`);
      if (queue.length) live().hidden = false;
      for (const one of queue.splice(0).reverse()) if (one.back) one.back();
    }
    working = false; document.body.classList.remove("busy");
    if (later) { const what = later; later = ""; renew(what); }
  }
  // One step; whether the next may follow.
  async function step(item, again = false) {
    const form = item.form.isConnected ? item.form : ofKey(item.key), { data, button } = item;
    if (!form) return true;  // moved to the top already, pinned already
    for (const name of ["token", "seen", "before", "after", "at"]) if (data.has(name) && form.elements[name]) data.set(name, form.elements[name].value);
    let answer;
    try { answer = await fetch(item.action, { method: "POST", body: data, credentials: "same-origin" }); } catch { say("The desk cannot be reached. What you wrote is still here: save it again once the desk answers."); return false; }
    if (answer.status === 403 && !again && (await newTokens())) return step(item, true);
    const next = await pageOf(answer);
    if (!next) return false;
    if (!next.querySelector(".edit-main") && (!next.getElementById("stage") || typed(item).length)) { say(wordsOf(next)); return false; }
    const stayed = !document.activeElement || document.activeElement === document.body || document.activeElement === button;
    if (answer.redirected) history.replaceState(null, "", new URL(answer.url).pathname);
    say("");
    put(next, item);
    const trouble = document.querySelector("#stage > [role=alert]");
    if (trouble) { trouble.tabIndex = -1; trouble.focus(); return false; }
    if (stayed) goOn(item);
    const done = document.querySelector("#stage [role=status]");
    if (done) { const words = done.textContent; done.textContent = ""; requestAnimationFrame(() => { done.textContent = words; }); }
    return true;
  }
  // The focus stays on the button. Where it is gone it goes to what it was about, and never to a button that does something else.
  function goOn({ key, data }) {
    const form = data.get("do") !== "place" && ofKey(key), row = [...document.querySelectorAll("[data-piece]")].find((one) => one.dataset.piece === data.get("piece"));
    const el = (form && form.querySelector("button")) || row || document.querySelector(".history-bar h2");
    if (el !== document.activeElement && el) { if (el.tagName !== "BUTTON") el.tabIndex = -1; el.focus({ preventScroll: false }); }
  }
  // Somebody logged in again on another page: forms carry what belongs to that session.
  async function newTokens() {
    let answer;
    try { answer = await fetch(location.href, { credentials: "same-origin" }); } catch { return false; }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html"), fresh = next.querySelector("main [name=token]");
    if (!answer.ok || next.body.dataset.events !== document.body.dataset.events || !fresh) return false;
    const mine = document.querySelector("#main [name=token]");
    if (mine && mine.value === fresh.value) return false;
    for (const el of document.querySelectorAll("#main [name=token]")) el.value = fresh.value;
    return true;
  }

  // --- copying: only where the browser lets a page do it ---
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent); button.textContent = "Copied"; } catch { button.textContent = "Your browser does not let this page copy"; }
    });
  }

  // --- dragging: the handle moves a piece; the keyboard has buttons for the same -------------------------------------------
  let dragged = null, moveBack = null;
  const rowOf = (el) => el.closest && el.closest("[data-order] > li");
  document.addEventListener("dragstart", (event) => {
    if (!event.target.classList || !event.target.classList.contains("handle")) return;
    dragged = rowOf(event.target); dragged.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", ""); event.dataTransfer.setDragImage(dragged, 10, 10);
  });
  document.addEventListener("dragover", (event) => {
    const row = dragged && rowOf(event.target);
    for (const one of document.querySelectorAll(".over")) one.classList.remove("over");
    if (!row) return;
    event.preventDefault(); row.classList.add("over");
  });
  document.addEventListener("drop", (event) => {
    const row = dragged && rowOf(event.target);
    if (!row || row === dragged) return;
    event.preventDefault();
    const rows = [...row.parentElement.children];
    document.getElementById("drag-piece").value = dragged.dataset.piece;
    document.getElementById("drag-place").value = String(rows.indexOf(row) + 1);
    // It stands there at once, so that the next one is put beside what is seen; back it goes if it is refused.
    const order = row.parentElement, moved = dragged;
    moveBack = () => { if (order.isConnected) order.replaceChildren(...rows); };
    if (rows.indexOf(row) > rows.indexOf(moved)) row.after(moved); else row.before(moved);
    const form = document.getElementById("drag-go").form;
    form.requestSubmit(document.getElementById("drag-go"));
  });
  document.addEventListener("dragend", () => {
    for (const one of document.querySelectorAll(".over, .dragged")) one.classList.remove("over", "dragged");
    dragged = null;
  });

  listen();
})();
