// SPDX-License-Identifier: Apache-2.0
// Small comforts on top of pages that work without them: the quiet flash of what changed, one search key,
// files' names in forms, and buttons that cannot be pressed twice.
"use strict";

(() => {
  // What a swap changed: every element with an id or data-key whose words differ flashes once.
  let before = new Map();

  const leaves = (root) => root.querySelectorAll("data, time, td, dd, [data-key]");
  const key = (element, place) => element.dataset.key || element.id || String(place);

  document.addEventListener("htmx:before:swap", (event) => {
    const target = event.detail?.ctx?.target || event.target;
    before = new Map();
    if (target instanceof Element && target.id) {
      const words = [...leaves(target)].map((element, place) => [key(element, place), element.textContent]);
      before.set(target.id, new Map(words));
    }
  });

  document.addEventListener("htmx:after:swap", () => {
    for (const [id, words] of before) {
      const region = document.getElementById(id);
      if (!region) continue;
      [...leaves(region)].forEach((element, place) => {
        if (words.get(key(element, place)) !== element.textContent) flash(element);
      });
    }
    before = new Map();
  });

  function flash(element) {
    element.classList.add("changed");
    setTimeout(() => element.classList.remove("changed"), 1200);
  }

  // "/" goes to the search box, as on many sites; never while writing.
  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const box = document.getElementById("search");
      if (box) {
        event.preventDefault();
        box.focus();
      }
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.dataset.again !== undefined) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
  });

  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    }
  });
})();
