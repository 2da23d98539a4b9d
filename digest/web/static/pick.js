// Picking in a fetched page: the frame, which can reach nothing, tells which element was clicked; the list is renewed, and the frame is
// told what was found. Without scripts the page offers what is repeated, and selectors to type.
"use strict";
(() => {
  const frame = document.getElementById("shown-page"), form = document.getElementById("pick");
  if (!frame || !form) return;
  const next = { title: "date", date: "link", link: "takeaway" };
  const mark = () => {
    const found = document.getElementById("found");
    if (found) frame.contentWindow.postMessage({ marks: JSON.parse(found.dataset.marks || "{}") }, "*");  // its origin has no name
  };
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || !event.data) return;
    if (event.data.ready) return mark();
    const at = event.data.picked, role = form.querySelector("input[name=role]:checked");
    if (!Number.isInteger(at) || at < 0 || !role) return;
    form.elements[`at_${role.value}`].value = String(at);
    const following = next[role.value] && form.querySelector(`input[name=role][value=${next[role.value]}]`);
    if (following) following.checked = true;
    form.dispatchEvent(new Event("picked"));
  });
  document.addEventListener("htmx:afterSettle", mark);
  mark();
})();
