"use strict";
// Answers: { k: "label", v: class } | { k: "skip" } | { k: "none" }, by the number of the image. Nothing here makes
// HTML of text: names are set with textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const images = data.images, total = images.length, key = "improved-gan-annotate-" + data.id;
  const $ = (id) => document.getElementById(id);
  const LETTERS = "1234567890qwertyiopafghjklzvbm", MOST_SHOWN = 60, MOST_UNDO = 1000;
  const fresh = () => ({ answers: {}, added: [], at: 0, history: [] });
  let state = fresh(), stored = true;

  function load() {
    try {
      const text = localStorage.getItem(key);
      const found = text && JSON.parse(text);
      if (found && found.answers && Array.isArray(found.added) && Array.isArray(found.history)) state = { ...fresh(), ...found };
    } catch { stored = false; }
    state.at = Math.min(Math.max(0, state.at | 0), total - 1);
  }
  function save() {
    try { localStorage.setItem(key, JSON.stringify(state)); stored = true; } catch { stored = false; }
    if (!stored) notice("This browser does not keep progress for this page: download labels.csv before you close it.");
  }
  function notice(text) { $("notice").textContent = text; $("notice").hidden = !text; }
  function say(text) { $("said").textContent = text; }

  const classes = () => [...data.classes, ...state.added];
  const answer = (i) => state.answers[i];
  const isDone = (i) => i in state.answers;
  const words = (a) => (!a ? "" : a.k === "label" ? a.v : a.k === "skip" ? "skipped" : "not any class");
  const percent = (p) => (p >= 0.995 ? "99+" : p < 0.01 ? "<1" : String(Math.round(100 * p))) + "%";

  // Keys: a class that is a single digit has that digit; the others take what is left, in order.
  function keys() {
    const found = new Map(), free = new Set(LETTERS);
    for (const name of classes()) if (/^[0-9]$/.test(name)) { found.set(name, name); free.delete(name); }
    const left = [...free];
    for (const name of classes()) if (!found.has(name) && left.length) found.set(name, left.shift());
    return found;
  }

  function nextOpen(from) {
    for (let step = 1; step <= total; step++) { const i = (from + step) % total; if (!isDone(i)) return i; }
    return -1;
  }
  function give(i, value) {
    state.history.push({ i, before: state.answers[i] ?? null });
    if (state.history.length > MOST_UNDO) state.history.shift();
    state.answers[i] = value;
  }
  function decide(value) {
    if (!total) return;
    const here = state.at;
    give(here, value);
    const open = nextOpen(here);
    const said = `${images[here].file}: ${words(value)}.`;
    if (open >= 0) state.at = open;
    $("filter").value = "";
    save(); draw(open < 0);
    say(`${said} ${doneCount()} of ${total} done.`);
  }
  function undo() {
    const last = state.history.pop();
    if (!last) return;
    if (last.before === null) delete state.answers[last.i]; else state.answers[last.i] = last.before;
    state.at = last.i;
    save(); draw();
    say(`Undone: ${images[last.i].file}.`);
  }
  function go(i) { if (total) { state.at = (i + total) % total; save(); draw(); } }
  const doneCount = () => Object.keys(state.answers).length;

  // labels.csv: file,label; the earlier labels, then those given here; a new one takes the place of an earlier one.
  const cell = (text) => (/[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  function labelsText() {
    const all = new Map(Object.entries(data.earlier));
    images.forEach((one, i) => { const a = answer(i); if (a?.k === "label") all.set(one.file, a.v); });
    return "file,label\n" + [...all].map(([file, label]) => `${cell(file)},${cell(label)}\n`).join("");
  }
  function asideText() {
    return "file\n" + images.filter((_, i) => answer(i)?.k === "none").map((one) => cell(one.file) + "\n").join("");
  }
  function download(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = name;
    document.body.append(link); link.click(); link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`${name} downloaded.`);
  }
  async function copy() {
    const text = labelsText();
    try { await navigator.clipboard.writeText(text); } catch {  // pages opened from a disk may not use it everywhere
      const area = document.createElement("textarea");
      area.value = text; document.body.append(area); area.select();
      const done = document.execCommand("copy"); area.remove();
      if (!done) { notice("The browser does not let this page copy: use the download."); return; }
    }
    $("copy").textContent = "Copied"; say("Labels copied.");
    setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
  }

  function classButton(name, chosen, letter, p) {
    const button = document.createElement("button"), word = document.createElement("span");
    button.type = "button"; button.className = "class";
    button.setAttribute("aria-pressed", String(chosen));
    if (p !== undefined) {
      const fill = document.createElement("span"), share = document.createElement("span");
      fill.className = "fill"; fill.style.width = `${100 * p}%`;
      share.className = "share"; share.textContent = percent(p);
      button.append(fill, word, share);
    } else button.append(word);
    word.className = "word"; word.textContent = name;
    if (letter) {
      const hint = document.createElement("kbd");
      hint.textContent = letter; button.prepend(hint);
      button.setAttribute("aria-keyshortcuts", letter);
    }
    button.addEventListener("click", (event) => {
      if (event.detail > 1) return;  // the second click of a double click is about the image that is gone
      const place = [...$("classes").children].indexOf(button);
      decide({ k: "label", v: name });
      if (event.detail === 0) $("classes").children[place]?.focus();  // by keyboard: stay where the hand was
    });
    return button;
  }
  function drawClasses() {
    const all = classes(), letters = keys(), here = images[state.at], wanted = $("filter").value.trim().toLowerCase();
    const given = answer(state.at);
    let order = all.map((name, i) => ({ name, i, p: i < data.predicted ? here.p[i] : undefined }));
    if (wanted) order = order.filter((one) => one.name.toLowerCase().includes(wanted));
    if (all.length > MOST_SHOWN) order.sort((a, b) => (b.p ?? 0) - (a.p ?? 0));  // too many to find: likely ones first
    order = order.slice(0, MOST_SHOWN);
    $("filter-field").hidden = all.length <= 12;
    $("classes").replaceChildren(...order.map((one) =>
      classButton(one.name, given?.k === "label" && given.v === one.name, letters.get(one.name), one.p)));
    return order;
  }
  function draw(finished = false) {
    const count = doneCount(), here = images[state.at];
    $("count").textContent = total ? `${count} of ${total} done` : "No images";
    $("progress").max = Math.max(1, total); $("progress").value = count;
    $("undo").disabled = !state.history.length;
    $("done").hidden = !finished; $("stage").hidden = $("choices").hidden = finished || !total;
    if (finished) drawDone();
    if (here && !finished) {
      $("image").src = here.src; $("image").alt = here.file;
      $("name").textContent = here.file;
      $("facts").textContent = `entropy ${here.entropy.toFixed(2)} nats, real score ${percent(here.real_score)}`;
      drawClasses();
      $("skip").setAttribute("aria-pressed", String(answer(state.at)?.k === "skip"));
      $("none").setAttribute("aria-pressed", String(answer(state.at)?.k === "none"));
      $("next").disabled = nextOpen(state.at) < 0;
    }
    drawStrip(finished);
  }
  function drawDone() {
    const given = Object.values(state.answers), number = (k) => given.filter((a) => a.k === k).length;
    $("done-title").textContent = `All ${total} images are done`;
    $("done-text").textContent = `${number("label")} labeled, ${number("skip")} skipped, ${number("none")} not of any class` +
      (Object.keys(data.earlier).length ? `; labels.csv holds the ${Object.keys(data.earlier).length} earlier labels too.` : ".");
    $("set-aside").hidden = !number("none"); $("look-again").hidden = !number("skip");
    $("command").textContent = data.command;
    $("then").hidden = $("command").parentElement.hidden = !data.command;
    $("done").focus();
  }
  function makeStrip() {
    $("strip").replaceChildren(...images.map((one, i) => {
      const item = document.createElement("li"), button = document.createElement("button"), thumbnail = document.createElement("img");
      const tag = document.createElement("span");
      tag.className = "tag"; thumbnail.src = one.src; thumbnail.alt = ""; thumbnail.loading = "lazy"; button.type = "button";
      thumbnail.addEventListener("load", () => { if (thumbnail.naturalWidth <= 128) thumbnail.classList.add("pixels"); });
      button.append(thumbnail, tag); item.append(button);
      button.addEventListener("click", () => go(i));
      return item;
    }));
  }
  function drawStrip(finished) {
    [...$("strip").children].forEach((item, i) => {
      const a = answer(i), button = item.firstChild, text = words(a);
      button.lastChild.textContent = text; button.lastChild.hidden = !a;
      item.className = a && a.k !== "label" ? "aside" : "";
      button.setAttribute("aria-label", `Image ${i + 1}, ${images[i].file}: ${text || "no label yet"}`);
      button.setAttribute("aria-current", String(!finished && i === state.at));
    });
  }

  function openNew() { $("new-class").hidden = false; $("new-name").value = ""; $("new-name").focus(); }
  function closeNew() { $("new-class").hidden = true; $("add").focus(); }
  function addClass(event) {
    event.preventDefault();
    const name = $("new-name").value.trim();
    if (!name) { $("new-name").focus(); return; }
    if (name === "-1") { notice("-1 means no label in labels.csv: give the class another name."); $("new-name").focus(); return; }
    notice("");
    if (!classes().includes(name)) state.added.push(name);
    $("new-class").hidden = true; document.activeElement?.blur();
    decide({ k: "label", v: name });
  }
  function takeFirst() {
    const p = images[state.at].p, best = p.indexOf(Math.max(...p));
    if (best >= 0) decide({ k: "label", v: data.classes[best] });
  }
  function pressed(event) {
    if (event.target.closest?.("#new-class") && event.key === "Escape") { closeNew(); return; }
    if (event.target === $("filter")) {
      if (event.key === "Escape") { $("filter").value = ""; $("filter").blur(); drawClasses(); }
      if (event.key === "Enter") { const first = drawClasses()[0]; if (first) { $("filter").blur(); decide({ k: "label", v: first.name }); } }
      return;
    }
    if (event.target.matches?.("input, textarea") || event.altKey || event.metaKey) return;
    if (event.ctrlKey) { if (event.key.toLowerCase() === "z") { event.preventDefault(); undo(); } return; }
    const onButton = event.target.matches?.("button");
    if (event.repeat && !event.key.startsWith("Arrow")) {  // a key that is held down is one decision
      if (event.key === "Enter" || event.key === " ") event.preventDefault();
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "u" || key === "Backspace") { event.preventDefault(); undo(); return; }
    if (!$("done").hidden || !total) return;
    if (key === "ArrowLeft") go(state.at - 1);
    else if (key === "ArrowRight") go(state.at + 1);
    else if (key === "Enter" && !onButton) takeFirst();
    else if (key === "s" || (key === " " && !onButton)) { event.preventDefault(); decide({ k: "skip" }); }
    else if (key === "x") decide({ k: "none" });
    else if (key === "n") { event.preventDefault(); openNew(); }
    else if (key === "/" && !$("filter-field").hidden) { event.preventDefault(); $("filter").focus(); }
    else for (const [name, letter] of keys()) if (letter === key) { decide({ k: "label", v: name }); break; }
  }

  $("image").addEventListener("load", () => {
    const shown = $("image"), edge = Math.max(shown.naturalWidth, shown.naturalHeight);
    shown.classList.toggle("pixels", edge <= 128);
    shown.style.maxWidth = shown.style.maxHeight = edge <= 128 ? `${24 * edge}px` : "";  // larger pixels do not help to recognize it
  });
  $("undo").addEventListener("click", undo); $("copy").addEventListener("click", copy);
  for (const id of ["download", "download-again"]) $(id).addEventListener("click", () => download("labels.csv", labelsText()));
  $("set-aside").addEventListener("click", () => download("not-any-class.csv", asideText()));
  for (const k of ["skip", "none"]) $(k).addEventListener("click", (event) => { if (event.detail <= 1) decide({ k }); });
  $("add").addEventListener("click", openNew); $("cancel").addEventListener("click", closeNew); $("new-class").addEventListener("submit", addClass);
  $("back").addEventListener("click", () => go(state.at - 1)); $("forward").addEventListener("click", () => go(state.at + 1));
  $("next").addEventListener("click", () => { const open = nextOpen(state.at); if (open >= 0) go(open); });
  $("filter").addEventListener("input", drawClasses);
  $("look-again").addEventListener("click", () => go(images.findIndex((_, i) => answer(i)?.k === "skip")));
  document.addEventListener("keydown", pressed);
  document.addEventListener("click", (event) => { if (event.detail > 0) event.target.closest?.("button")?.blur(); });  // Enter takes the most probable class
  addEventListener("storage", (event) => { if (event.key === key) { load(); draw(); } });  // the page in another tab

  load(); makeStrip(); draw(total > 0 && nextOpen(state.at) < 0);
  if (!stored) notice("This browser does not keep progress for this page: download labels.csv before you close it.");
})();
