// Keeps the parts of the page that are marked data-live up to date. Without it, the link "Refresh"
// loads the page again. The form is no such part, so what is typed and where the focus is stay.
"use strict";

(() => {
  const PERIOD = 1500; // milliseconds
  const SLOWEST = 15000;
  const PATIENCE = 10000;

  const url = document.currentScript.dataset.url;
  const status = document.getElementById("refresh-status");
  let timer = null;
  let failures = 0;
  let underWay = false;

  async function refresh() {
    clearTimeout(timer);
    if (underWay) return;
    underWay = true;
    try {
      show(await load());
      failures = 0;
      say("Live", "live");
    } catch {
      failures += 1;
      say("No answer, trying again", "offline");
    }
    underWay = false;
    schedule();
  }

  function schedule() {
    if (document.hidden) say("Paused", "paused");
    else timer = setTimeout(refresh, Math.min(PERIOD * 2 ** failures, SLOWEST));
  }

  async function load() {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(response.statusText);
    return new DOMParser().parseFromString(await response.text(), "text/html");
  }

  function show(fresh) {
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const shown = document.getElementById(part.id);
      if (shown) hostingMorph(shown, part);
    }
  }

  function say(words, state) {
    if (status.textContent === words) return;
    status.textContent = words;
    status.className = state;
  }

  document.getElementById("refresh").addEventListener("click", (event) => {
    event.preventDefault();
    refresh();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) schedule();
    else refresh();
  });
  schedule();
})();
