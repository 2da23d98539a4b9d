// A form that carries a puzzle has it solved in the background; who presses the button sooner waits a moment, and is told so.
// Whatever goes wrong, the form is sent without a solution: then it counts among those of people without scripts.
"use strict";
(() => {
  const field = document.querySelector("input[data-puzzle]");
  if (!field || !window.Worker) return;
  const form = field.form;
  let done = false, pressed = null;
  const worker = new Worker(field.dataset.worker);
  const end = (solution) => {
    if (done) return;
    done = true;
    worker.terminate();
    field.value = solution;
    if (pressed) form.requestSubmit(pressed.button);
  };
  worker.onmessage = (event) => end(event.data);
  worker.onerror = () => end("");
  setTimeout(() => end(""), 20000);
  worker.postMessage(field.dataset.puzzle);
  form.addEventListener("submit", (event) => {
    const button = event.submitter || undefined;
    if (done || (button && button.hasAttribute("formaction"))) return;
    event.preventDefault();
    if (pressed) return;
    pressed = { button };
    const said = document.createElement("p");
    said.setAttribute("role", "status");
    said.className = "saved";
    form.append(said);
    said.textContent = field.dataset.wait;
  });
})();
