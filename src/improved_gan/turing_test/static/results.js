// The researcher's page: counts that stay fresh, and the token from the link that the server printed (#TOKEN).
"use strict";

const form = document.getElementById("login");
if (form !== null && location.hash.length > 1) {
  form.token.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  form.requestSubmit();
}

const main = document.querySelector("main[data-live]");
if (main !== null) {
  const first = document.getElementById("answers").textContent;
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const reply = await fetch(main.dataset.live, { cache: "no-store" });
      if (!reply.ok) return;
      const live = await reply.json();
      for (const name of ["begun", "finished", "answers", "last"]) document.getElementById(name).textContent = live[name];
      document.getElementById("stale").hidden = String(live.answers) === first;
    } catch { /* the next time */ }
  }, 5000);
}
