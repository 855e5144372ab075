// The judge's page. An answer is kept in this browser until the server has confirmed it, and is sent again as often as
// that takes; the server stores it once. The page knows nothing of the right answer before it is given.
"use strict";

const study = document.getElementById("study");
const base = study.dataset.base;
const design = study.dataset.design;
const width = Number(study.dataset.width);
const height = Number(study.dataset.height);
const images = [...document.querySelectorAll("#pictures img")];
const mask = document.querySelector("#pictures canvas");
const buttons = [...document.querySelectorAll("[data-choice]")];
const status = document.getElementById("status");
const card = document.getElementById("card");
const texts = JSON.parse(study.dataset.texts);
const say_it = (name, values) => texts[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
const kept = (session) => `answer ${base} ${session}`; // each judge of a shared browser has a session
const MOST_MS = 3600000; // a time that is longer counts as an hour
const GESTURE_MS = 400; // a second click, tap or key so soon is the same gesture's, not a second decision
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));

let trial = null; // the state that the server told last
let shownAt = 0; // when the picture stood on the screen
let shownMs = null; // how long it stood there (timed)
let open = false; // whether an answer is taken now
let ahead = []; // pictures of the next trial, loading
let acknowledged = -1; // the trial whose card was read
let decidedAt = -Infinity; // when the last answer was given, or the last card read
let openedAt = 0; // since when answers of this trial are taken
let pressedAt = 0; // when the last press of a pointer began
let turn = 0; // so that an older presentation stops when a newer one begins

// One gesture, one decision: nothing is taken until the last gesture is surely over.
const settle = () => sleep(Math.max(0, decidedAt + GESTURE_MS - performance.now()));
// A click counts if its press began after the trial was opened, and if it is not the second of a double click. Keyboard
// and screen reader click without a press (detail 0).
const isNew = (event) => event.detail === 0 || (event.detail === 1 && pressedAt >= openedAt);

const url = (token) => `${base}/picture/${token}.png`;

// Small pictures grow by whole factors, so that every pixel stays a square.
function fit() {
  const columns = images.length;
  const narrow = columns === 3 && study.clientWidth < 560; // three pictures stand below each other on a phone
  const room = study.clientWidth - 40 - (narrow ? 0 : Math.min(60, study.clientWidth / 12) * (columns - 1));
  const below = design === "rating" && innerWidth < 640 ? 400 : 300;
  const most = Math.min(narrow ? room : room / columns, columns > 1 ? 440 : 520, narrow ? (innerHeight - 160) / 3 : innerHeight - below);
  let factor = Math.max(most, Math.min(96, room / columns)) / Math.max(width, height);
  if (factor >= 2) factor = Math.floor(factor);
  for (const element of [...images, mask]) {
    if (element === null) continue;
    element.style.width = `${Math.round(width * factor)}px`;
    element.style.height = `${Math.round(height * factor)}px`;
    element.style.imageRendering = factor >= 1 ? "pixelated" : "auto";
  }
}

let inMemory = null; // where the browser has no storage
function readAnswer(session) {
  let answer = null;
  try { answer = JSON.parse(localStorage.getItem(kept(session))); } catch { /* none */ }
  answer = answer ?? inMemory;
  return answer?.session === session ? answer : null;
}

function keep(answer) {
  inMemory = answer;
  try { localStorage.setItem(kept(answer.session), JSON.stringify(answer)); } catch { /* the copy in memory must do */ }
}

function forget(answer) {
  inMemory = null;
  try { localStorage.removeItem(kept(answer.session)); } catch { /* nothing was kept */ }
}

// Ask until there is a reply; says so when the network is gone.
async function ask(path, options) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    try {
      const reply = await fetch(base + path, { ...options, cache: "no-store", credentials: "same-origin" });
      if (![408, 429].includes(reply.status) && reply.status < 500) {
        document.getElementById("offline").hidden = true;
        return reply;
      }
    } catch { /* no network */ }
    document.getElementById("offline").hidden = false;
    await Promise.race([sleep(wait), new Promise((done) => addEventListener("online", done, { once: true }))]);
  }
}

async function told(reply) {
  if (reply.ok) return reply.json();
  if (reply.status === 404) location.replace(base);
  else location.reload(); // closed, or a page that is out of date: the server says what to do
  return new Promise(() => {});
}

async function send(answer) {
  const reply = await ask("/answer", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": study.dataset.csrf },
    body: JSON.stringify(answer),
  });
  if (reply.ok) {
    forget(answer); // stored, by this request or an earlier one
    return reply.json();
  }
  if ([404, 409, 410].includes(reply.status)) return told(reply); // kept for when this judge comes back
  const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
  if (reply.status === 403 && !reloaded) return told(reply);
  say(texts.not_saved, "wrong");
  return told(await ask("/state"));
}

async function load() {
  open = false;
  let state = await told(await ask("/state"));
  const waiting = readAnswer(state.session);
  if (waiting !== null) state = await send(waiting);
  if (state.feedback) await tell(state.feedback);
  present(state);
}

function say(text, kind) {
  status.textContent = text || "\u00a0";
  status.className = `status ${kind || ""}`;
}

async function showCard(heading, text) {
  await settle();
  document.getElementById("card-heading").textContent = heading;
  document.getElementById("card-text").textContent = text;
  card.hidden = false;
  const button = document.getElementById("card-button");
  button.focus();
  openedAt = performance.now();
  return new Promise((done) => {
    button.onclick = (event) => {
      if (!isNew(event)) return;
      decidedAt = performance.now();
      card.hidden = true;
      button.blur();
      done();
    };
  });
}

async function present(state) {
  const mine = ++turn;
  trial = state;
  if (state.code !== null) return location.replace(`${base}/thanks`);
  document.getElementById("count").textContent = say_it("position", { position: state.position + 1, total: state.total });
  document.getElementById("progress").value = state.position;
  document.getElementById("practice").hidden = !state.practice;
  for (const element of [...images, ...buttons, mask]) element?.classList.remove("shown", "chosen", "was-right", "was-wrong");
  for (const button of buttons) button.disabled = true;
  if (acknowledged !== state.position && (state.begins || state.pause)) {
    await (state.begins ? showCard(texts.practice_over, texts.practice_over_text)
      : showCard(texts.break_heading, say_it("break_text", state)));
    acknowledged = state.position;
  }
  if (state.question) document.getElementById("question").textContent = state.question;
  const prompt = document.getElementById("prompt");
  if (prompt !== null) prompt.textContent = state.prompt || "\u00a0";
  images.forEach((image, side) => { image.src = url(state.pictures[side]); });
  await ready(images, mine);
  if (mine !== turn) return undefined;
  if (design === "timed") await flash(state, mine);
  else images.forEach((image) => image.classList.add("shown"));
  await frame();
  if (mine !== turn) return undefined;
  if (design !== "timed") shownAt = performance.now();
  await settle();
  if (mine !== turn) return undefined;
  document.getElementById("pictures").setAttribute("aria-busy", "false");
  for (const button of buttons) button.disabled = false;
  openedAt = performance.now();
  open = true;
  ahead = state.next.map((token) => Object.assign(new Image(), { src: url(token) }));
  return undefined;
}

// Wait until pictures can be painted; one that did not arrive is asked for again.
async function ready(pictures, mine) {
  for (let wait = 500; mine === turn; wait = Math.min(2 * wait, 8000)) {
    const done = await Promise.allSettled(pictures.map((image) => image.decode()));
    if (done.every((one) => one.status === "fulfilled")) {
      document.getElementById("offline").hidden = true;
      return;
    }
    document.getElementById("offline").hidden = false;
    await sleep(wait);
    const state = await told(await ask("/state"));
    pictures.forEach((image, side) => { image.src = ""; image.src = url(state.pictures[side]); });
  }
}

// A cross, the picture for the exposure, then noise over it.
async function flash(state, mine) {
  const box = images[0].parentElement;
  shownMs = null;
  box.classList.add("ready");
  await sleep(600);
  box.classList.remove("ready");
  if (mine !== turn) return;
  noise();
  images[0].classList.add("shown");
  await frame();
  shownAt = performance.now();
  let now = shownAt;
  while (now - shownAt < state.exposure_ms - 8) now = await frame(); // to the frame that is nearest
  mask.classList.add("shown");
  images[0].classList.remove("shown");
  shownMs = Math.round(performance.now() - shownAt);
}

function noise() {
  mask.width = width; mask.height = height;
  const context = mask.getContext("2d");
  const pixels = context.createImageData(width, height);
  const cell = Math.max(1, Math.round(width / 16));
  for (let y = 0; y < height; y += cell) {
    for (let x = 0; x < width; x += cell) {
      const color = [0, 1, 2].map(() => Math.floor(256 * Math.random()));
      for (let v = y; v < Math.min(y + cell, height); v++) {
        for (let u = x; u < Math.min(x + cell, width); u++) pixels.data.set([...color, 255], 4 * (v * width + u));
      }
    }
  }
  context.putImageData(pixels, 0, 0);
}

async function tell({ correct, truth }) {
  const words = say_it(correct ? "correct" : "wrong", { truth: texts[`truth_${truth}`] });
  say(`${correct ? "✓" : "✗"} ${words}`, correct ? "right" : "wrong");
  await sleep(1100);
}

async function vote(choice) {
  if (!open) return;
  open = false;
  decidedAt = performance.now();
  const answer = {
    session: trial.session,
    number: trial.position,
    choice,
    response_ms: Math.min(Math.max(Math.round(performance.now() - shownAt), 0), MOST_MS),
    shown_ms: shownMs === null ? null : Math.min(shownMs, MOST_MS),
  };
  keep(answer);
  const button = buttons.find((one) => one.dataset.choice === choice);
  button.classList.add("chosen");
  for (const one of buttons) one.disabled = true;
  const slow = setTimeout(() => say(texts.saving), 600);
  const state = await send(answer);
  clearTimeout(slow);
  if (state.feedback) {
    button.classList.replace("chosen", state.feedback.correct ? "was-right" : "was-wrong");
    if (mask !== null) { mask.classList.remove("shown"); images[0].classList.add("shown"); }
    await tell(state.feedback);
  } else if (state.position > answer.number) {
    say("");
  }
  present(state);
}

const keys = {
  yes_no: { ArrowLeft: "real", ArrowRight: "generated", r: "real", g: "generated" },
  two_alternative: { ArrowLeft: "left", ArrowRight: "right", l: "left", r: "right" },
  odd_one_out: { 1: "1", 2: "2", 3: "3" },
  preference: { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "tie", ArrowUp: "both_bad" },
  rating: Object.fromEntries([1, 2, 3, 4, 5, 6].map((level) => [level, String(level)])),
};
keys.timed = keys.yes_no;

// A key that is held down, or a key that bounces, is one gesture; also where it clicks the button that has the focus.
const held = new Set();
const clear = () => held.clear();
addEventListener("pointerdown", (event) => { pressedAt = event.timeStamp; }, { capture: true, passive: true });
addEventListener("keyup", (event) => held.delete(event.code || event.key), true);
addEventListener("blur", clear);
addEventListener("keydown", (event) => {
  const code = event.code || event.key;
  const again = event.repeat || held.has(code);
  if (!event.ctrlKey && !event.metaKey && !event.altKey) held.add(code);
  if (again && (event.key === "Enter" || event.key === " ")) event.preventDefault();
  if (again) return;
  const choice = keys[design][event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const offered = buttons.some((one) => one.dataset.choice === choice); // a tie is not offered in every study
  if (!offered || event.ctrlKey || event.metaKey || event.altKey || !card.hidden) return;
  event.preventDefault();
  vote(choice);
});
for (const button of buttons) {
  button.addEventListener("click", (event) => { if (isNew(event)) vote(button.dataset.choice); });
}
addEventListener("resize", fit);
addEventListener("pageshow", (event) => { if (event.persisted) load(); });
fit();
load();
