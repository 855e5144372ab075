// The page of consent: a double click on the button begins one session.
"use strict";

const form = document.querySelector("form");
let sent = false;
form.elements.screen.value = `${innerWidth}x${innerHeight}`; // stored only where a study asks for a screen of some size
form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
});
addEventListener("pageshow", () => { sent = false; }); // the page again, by the back button
