// Keeps the parts of a page that are marked data-live up to date, and helps with ticking rows.
// Without it, everything works by links, forms and reloading.
"use strict";

(() => {
  const PERIOD = 2000; // milliseconds
  const SLOWEST = 30000;
  const PATIENCE = 15000;

  const status = document.getElementById("dashboard-live");
  let timer = null;
  let failures = 0;
  let underWay = false;

  // Live

  async function refresh() {
    clearTimeout(timer);
    if (underWay) return;
    underWay = true;
    try {
      show(await load());
      failures = 0;
      say(isHeld() ? "Live, list held while jobs are ticked" : "Live", "live");
    } catch (error) {
      if (error.isFinal) return say(error.message, "offline");
      failures += 1;
      say("No answer, trying again", "offline");
    } finally {
      underWay = false;
    }
    schedule();
  }

  function schedule() {
    clearTimeout(timer);
    if (document.hidden) say("Paused", "paused");
    else timer = setTimeout(refresh, Math.min(PERIOD * 2 ** failures, SLOWEST));
  }

  async function load() {
    const response = await fetch(location.href, {
      headers: { "X-Hosting-Live": "1" },
      redirect: "manual", // to the login: nobody is logged in any more
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.type === "opaqueredirect" || response.status === 403) throw final("Logged out");
    if (response.status === 404) throw final("It is gone");
    if (!response.ok) throw new Error(response.statusText);
    return new DOMParser().parseFromString(await response.text(), "text/html");
  }

  function final(words) {
    return Object.assign(new Error(words), { isFinal: true });
  }

  function show(fresh) {
    for (const part of fresh.querySelectorAll("[data-live]")) {
      // The admin has ids of its own, as those of its list of models.
      const shown = document.querySelector(`[data-live]#${CSS.escape(part.id)}`);
      if (!shown) continue;
      if (isHeld() && shown.closest("[data-hold]")) updateRows(shown, part);
      else hostingMorph(shown, part);
    }
    countTicked();
  }

  // While rows are ticked none comes or goes, so that nobody acts on another than they see.
  function updateRows(shown, part) {
    for (const row of part.children) {
      const old = row.id && document.getElementById(row.id);
      if (old) hostingMorph(old, row);
    }
  }

  function say(words, state) {
    if (!status || status.textContent === words) return;
    status.textContent = words;
    status.className = `hosting-${state}`;
  }

  // Ticks

  const ticks = () => [...document.querySelectorAll("[data-hold] input:is([name=job], [name=_selected_action])")];
  const isHeld = () => ticks().some((tick) => tick.checked);

  function countTicked() {
    const count = ticks().filter((tick) => tick.checked).length;
    const told = document.querySelector("[data-ticked]");
    if (told) told.textContent = count ? `${count} ticked` : "";
    const all = document.querySelector("[data-tick-all]");
    if (all) {
      all.checked = count > 0 && count === ticks().length;
      all.indeterminate = count > 0 && !all.checked;
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]")) {
      for (const tick of ticks()) tick.checked = event.target.checked;
    }
    countTicked();
  });

  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) schedule();
    else refresh();
  });
  countTicked();
  schedule();
})();
