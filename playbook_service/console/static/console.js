// What makes the console nicer, and nothing that it needs: pages that say so look again by themselves.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const seconds = Number(main.dataset.live);

  const busy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

  async function look() {
    if (document.hidden) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (!other || busy(part) || part.querySelector("details[open]")) continue;
      if (other.outerHTML !== part.outerHTML) part.replaceWith(document.importNode(other, true));
    }
  }

  setInterval(() => look().catch(() => {}), seconds * 1000);
})();
