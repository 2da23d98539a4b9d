// The desk works without this. With it pages renew as files are saved, pieces can be dragged, and lengths are counted while typing.
"use strict";
(() => {
  const live = () => document.getElementById("live");
  const say = (text) => { const box = live(); box.textContent = text; box.hidden = !text; };
  let dirty = false, asked = 0;

  // --- renewing: the page is asked for again and its parts are put in the place of the old ones; where you were, you stay ---
  const SWAPPED = ["main"];
  async function renew(what) {
    if (dirty) { say(`Saved: ${what}. You are typing, so this page stays as it is until you save or reload.`); return; }
    const mine = ++asked, begun = performance.now();
    let answer;
    try { answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }); } catch { return; }
    if (mine !== asked) return;
    if (!answer.ok && !(answer.headers.get("content-type") || "").startsWith("text/html")) { say(await answer.text()); return; }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked || dirty) return;
    put(next);
    document.documentElement.dataset.renewed = String(Math.round(performance.now() - begun));
    say("");
  }

  function put(next) {
    const at = document.activeElement && document.activeElement.id, x = scrollX, y = scrollY;
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
    if (at && document.getElementById(at)) document.getElementById(at).focus({ preventScroll: true });
    scrollTo(x, y);
    begin();
  }
  const named = (one) => { const words = one.querySelector("summary"); return words ? words.textContent : ""; };

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

  // --- forms: what is typed is not thrown away by a renewal, and lengths are counted as readers see them -------------------
  const segments = window.Intl && Intl.Segmenter ? new Intl.Segmenter() : null;
  const length = (text) => (segments ? [...segments.segment(text)].length : [...text].length);
  document.addEventListener("input", (event) => {
    const el = event.target;
    if (el.closest("form") && el.closest("form").method === "post") dirty = true;
    if (!el.dataset || !el.dataset.high) return;
    const n = length(el.value), low = +el.dataset.low, high = +el.dataset.high;
    const meter = document.getElementById(`${el.id}-meter`), words = document.getElementById(`${el.id}-count`);
    if (meter) meter.value = Math.min(n, high * 2);
    if (words) words.textContent = `${n} characters${n && n < low ? ": short" : n > high ? ": many programs cut it" : ""}`;
  });
  document.addEventListener("submit", () => { dirty = false; });
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });

  // Buttons that only move or pin something answer without a new page; the focus stays on them.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || !form.closest(".edit-main") || !window.fetch) return;
    event.preventDefault();
    const button = event.submitter, data = new URLSearchParams(new FormData(form, button || undefined));
    let answer;
    try { answer = await fetch(form.action, { method: "POST", body: data, credentials: "same-origin" }); } catch { say("The desk cannot be reached; nothing was saved. What you wrote is still here."); dirty = true; return; }
    const type = answer.headers.get("content-type") || "";
    if (!type.startsWith("text/html")) { say(await answer.text()); dirty = true; return; }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.redirected) history.replaceState(null, "", new URL(answer.url).pathname);
    const id = button && button.id, piece = form.elements.piece && form.elements.piece.value, kind = id && id.split("-")[0];
    put(next);
    const row = piece && [...document.querySelectorAll("[data-piece]")].find((one) => one.dataset.piece === piece);
    const again = row ? row.querySelector(`button[id^="${kind}-"]`) || row.querySelector(".moves button, summary") : id && document.getElementById(id);
    const trouble = document.querySelector("#stage [role=alert]");
    if (trouble) { trouble.tabIndex = -1; trouble.focus(); } else if (again) again.focus({ preventScroll: false });
    const done = document.querySelector("#stage [role=status]");
    say(""); if (done) { const words = done.textContent; done.textContent = ""; requestAnimationFrame(() => { done.textContent = words; }); }
  });

  // --- dragging: the handle moves a piece; the keyboard has buttons for the same -------------------------------------------
  let dragged = null;
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
    const form = document.getElementById("drag-go").form;
    form.requestSubmit(document.getElementById("drag-go"));
  });
  document.addEventListener("dragend", () => {
    for (const one of document.querySelectorAll(".over, .dragged")) one.classList.remove("over", "dragged");
    dragged = null;
  });

  function begin() { dirty = false; }
  listen();
  begin();
})();
