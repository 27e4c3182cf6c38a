// hostingMorph(old, fresh) has one node of the page become what another is. Only what differs is
// touched: that keeps the focus, a selection, the place in a scrolled list, what is ticked or open,
// and has a screen reader read out nothing but what is new.
"use strict";

const hostingMorph = (() => {
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
    const isKept = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !isKept(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !isKept(name)) old.setAttribute(name, value);
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

  return morph;
})();
