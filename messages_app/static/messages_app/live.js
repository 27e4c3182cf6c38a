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
      if (shown) morph(shown, part);
    }
  }

  // Only what differs is touched: that keeps the focus, a selection and the place in the scrolled
  // list, and has a screen reader read new messages only.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(document.importNode(fresh, true));
    } else if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
    } else {
      copyAttributes(old, fresh);
      morphChildren(old, fresh);
    }
  }

  function copyAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function morphChildren(old, fresh) {
    const kept = new Set([...fresh.children].map((child) => child.id));
    for (const child of [...old.children]) {
      if (child.id && !kept.has(child.id)) child.remove();
    }
    let place = old.firstChild;
    const drop = () => {
      const next = place.nextSibling;
      place.remove();
      place = next;
    };
    for (const child of [...fresh.childNodes]) {
      const same = child.id ? old.querySelector(`:scope > #${CSS.escape(child.id)}`) : place;
      if (!same || (same.id && !child.id)) {
        old.insertBefore(document.importNode(child, true), place);
        continue;
      }
      // What has no id gives way, as a node that is moved would be read out again.
      while (place && place !== same && !place.id) drop();
      if (place !== same) old.insertBefore(same, place);
      place = same.nextSibling;
      morph(same, child);
    }
    while (place) drop();
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
