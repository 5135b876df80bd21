"use strict";
(() => {
  const pages = [...document.querySelectorAll("details.incident")];
  const tools = document.querySelector(".tools");
  if (tools) tools.hidden = false;

  // A link into a closed page opens it, also where the browser does not do so by itself.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.open) for (const page of pages) page.open = button.dataset.open === "all";
    if (button.dataset.priority) {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      for (const part of document.querySelectorAll("tr[data-priority], details[data-priority]"))
        if (part.dataset.priority === button.dataset.priority) part.hidden = !shown;
    }
  });

  // On paper everything is open; afterwards the reader finds the page as it was.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
