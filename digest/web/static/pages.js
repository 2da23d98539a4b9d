// What htmx leaves to say: where a form has mistakes the focus goes to them, what was saved is spoken, and an answer that did not
// come, or came from a server in trouble, is told beside the button. Without scripts the pages say all of it themselves.
"use strict";
(() => {
  const all = (what) => document.querySelectorAll(what);
  const mistakes = () => {
    const found = document.querySelector(".errors");
    if (found) found.focus();
    return found;
  };
  const trouble = (shown) => {
    all("[data-trouble]").forEach((one) => { one.hidden = !shown; });
    all(".done").forEach((one) => { one.hidden = shown; });
  };
  let place = 0;
  mistakes();
  document.addEventListener("htmx:beforeSwap", () => { place = scrollY; });
  document.addEventListener("htmx:afterSettle", () => {
    scrollTo(0, place);  // all of the page's middle was exchanged: without this the browser holds on to what stands below it
    const saved = document.querySelector(".saved");
    if (mistakes() || !saved) return;
    const said = saved.textContent;  // a region is spoken when what is in it changes, not when it comes
    saved.textContent = "";
    setTimeout(() => { saved.textContent = said; }, 50);
  });
  document.addEventListener("htmx:beforeRequest", () => trouble(false));
  for (const what of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(what, () => trouble(true));
})();
