// What makes the console nicer, and nothing that it needs: pages that say so look again by themselves.
"use strict";
(() => {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  const CONTROLS = "a, button, summary, input, select, textarea, [tabindex]";
  let seconds = Number(main.dataset.live);
  let seen = new Date();

  const name = (one) => `${one.tagName} ${one.getAttribute("href") || one.getAttribute("aria-label") || one.textContent}`;

  // Somebody types, picks, has something open or marks a text to copy: that part waits.
  function busy(part) {
    const marked = getSelection();
    return part.querySelector("details[open]") || (!marked.isCollapsed && part.contains(marked.anchorNode)) ||
      (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea"));
  }

  function replace(part, other) {
    const held = part.contains(document.activeElement) ? document.activeElement : null;
    const fresh = document.importNode(other, true);
    const twin = held && [...fresh.querySelectorAll(CONTROLS)].find((one) => name(one) === name(held));
    if (held && !twin) return;
    part.replaceWith(fresh);
    if (twin) twin.focus({ preventScroll: true });
  }

  // A page that looks alive and is not would be worse than none.
  function tell(sentence) {
    let stale = document.getElementById("stale");
    if (!stale && sentence) {
      stale = Object.assign(document.createElement("p"), { id: "stale", className: "notice bad" });
      stale.setAttribute("role", "status");
      main.prepend(stale);
    }
    if (stale && sentence && stale.textContent !== sentence) stale.textContent = sentence;
    if (stale && !sentence) stale.remove();
  }

  async function look() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") return tell("Your session has ended: load the page again to sign in.");
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = page.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
      if (other && !busy(part) && other.outerHTML !== part.outerHTML) replace(part, other);
    }
    seen = new Date();
    seconds = Number(page.querySelector("main").dataset.live || 0);
    tell("");
  }

  function again() {
    if (seconds) setTimeout(async () => {
      const since = seen.toISOString().slice(11, 19);
      if (!document.hidden) await look().catch(() => tell(`This page is as of ${since} UTC: the service does not answer.`));
      again();
    }, seconds * 1000);
  }

  again();
})();
