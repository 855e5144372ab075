// The report's curves, its slider of samples and its table of settings. Everything it shows is in the page.
"use strict";

const data = (id) => JSON.parse(document.getElementById(id).textContent);
const { panels, owners } = data("curve-data");
const SVG = "http://www.w3.org/2000/svg";
const DASHES = ["", "7 3", "2 3"];
const state = { along: "epochs", view: owners.some((one) => one.view === "groups" && one.runs > 1) ? "groups" : "runs", hidden: new Set() };

function make(name, attributes, ...children) {
  const element = ["svg", "g", "path", "line", "text", "circle"].includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Four digits at most, without zeros that say nothing.
function text(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2).replace(/\.?0+e/, "e") : String(Number(value.toPrecision(4)));
}

function linearTicks(low, high, most) {
  const raw = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const ticks = [];
  const parts = decades < 1.2 ? [1, 1.5, 2, 3, 5, 7] : decades < 3.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / 6));
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += every) {
    for (const part of parts) {
      const tick = Number((part * 10 ** power).toPrecision(6));
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.panel = panels[Number(figure.dataset.panel)];
    this.plot = figure.querySelector(".plot");
    this.at = null;
    const values = this.panel.lines.flatMap((line) => line.low);
    this.canBeLog = values.every((value) => value > 0);
    this.log = this.panel.logarithmic && this.canBeLog;
    this.button = make("button", { type: "button", "aria-pressed": this.log }, "log");
    this.button.setAttribute("aria-label", `Logarithmic axis: ${this.panel.title}`);
    this.button.disabled = !this.canBeLog;
    this.button.addEventListener("click", () => {
      this.log = !this.log;
      this.button.setAttribute("aria-pressed", this.log);
      this.draw();
    });
    figure.append(make("div", { class: "bar" }, this.button));
    this.tip = make("div", { class: "tip", hidden: "" });
    this.table = make("details", {}, make("summary", {}, "Values as a table"));
    this.table.addEventListener("toggle", () => this.fillTable());
    figure.append(this.table);
    this.width = 0;
    new ResizeObserver(() => { if (this.plot.clientWidth !== this.width) this.draw(); }).observe(this.plot);
  }

  // The lines to be seen now, each with its owner.
  lines() {
    const shown = new Map(owners.filter((one) => one.view === state.view && !state.hidden.has(one.id)).map((one) => [one.id, one]));
    const names = [...new Set(this.panel.lines.map((line) => line.name))];
    return this.panel.lines.filter((line) => shown.has(line.owner)).map((line) => ({ ...line, by: shown.get(line.owner), second: names.indexOf(line.name) }));
  }

  label(line) { return [owners.length > 2 || line.name === "" ? line.by.name : "", line.name].filter(Boolean).join(", "); }

  dash(line) { return DASHES[(line.by.dash + line.second) % DASHES.length]; }

  draw() {
    this.width = this.plot.clientWidth;
    const height = 230;
    const box = { left: 48, right: this.width - 8, top: 10, bottom: height - 34 };
    const lines = this.lines();
    const along = lines.flatMap((line) => line[state.along]);
    const values = lines.flatMap((line) => [...line.low, ...line.high]);
    const svg = make("svg", { viewBox: `0 0 ${this.width} ${height}`, height, tabindex: "0", role: "slider", "aria-label": `${this.panel.title}, values by epoch` });
    this.plot.replaceChildren(svg, this.tip);
    this.tip.hidden = true;
    this.svg = svg;
    if (along.length === 0) {
      svg.append(make("text", { x: this.width / 2, y: height / 2, "text-anchor": "middle" }, "nothing to show"));
      this.points = [];
      return;
    }
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (!this.log) {
      const room = (high - low || Math.abs(high) || 1) * 0.06;
      low = low >= 0 && low < 0.35 * high ? 0 : low - room;
      high += room;
    } else { low /= 1.12; high *= 1.12; }
    let [first, last] = [Math.min(...along), Math.max(...along)];
    if (state.along === "minutes") first = 0;
    if (first === last) { first -= 1; last += 1; }
    const x = (value) => box.left + (value - first) / (last - first) * (box.right - box.left);
    const share = this.log ? (value) => Math.log(value / low) / Math.log(high / low) : (value) => (value - low) / (high - low);
    const y = (value) => box.bottom - share(value) * (box.bottom - box.top);
    this.axes(svg, box, x, y, { first, last, low, high });
    for (const line of lines) {
      const group = make("g", { class: `c${line.by.color}` });
      const path = (list) => list.map((value, k) => `${x(line[state.along][k]).toFixed(1)} ${y(value).toFixed(1)}`);
      if (line.by.runs > 1) group.append(make("path", { class: "band", d: `M${path(line.high).join("L")}L${path(line.low).reverse().join("L")}Z` }));
      group.append(make("path", { class: "line", d: `M${path(line.mean).join("L")}`, "stroke-dasharray": this.dash(line) }));
      if (line.mean.length === 1) group.append(make("circle", { class: "dot", r: 3, cx: x(line[state.along][0]), cy: y(line.mean[0]) }));
      svg.append(group);
    }
    this.points = [...new Set(lines.flatMap((line) => line.epochs))].sort((a, b) => a - b);
    this.drawn = { lines, x, y, box };
    svg.setAttribute("aria-valuemin", this.points[0]);
    svg.setAttribute("aria-valuemax", this.points.at(-1));
    svg.setAttribute("aria-valuenow", this.points.at(-1));
    svg.setAttribute("aria-valuetext", this.words(this.points.at(-1)).join("; "));
    svg.addEventListener("pointermove", (event) => this.point(event));
    svg.addEventListener("pointerdown", (event) => this.point(event));
    svg.addEventListener("pointerleave", () => this.leave());
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible")) this.show(this.at ?? this.points.length - 1); });
    svg.addEventListener("blur", () => this.leave());
    svg.addEventListener("keydown", (event) => this.key(event));
    if (this.table.open) this.fillTable();
  }

  axes(svg, box, x, y, range) {
    const ticks = this.log ? logTicks(range.low, range.high) : linearTicks(range.low, range.high, 5);
    for (const tick of ticks) {
      svg.append(make("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }),
        make("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, text(tick)));
    }
    for (const tick of linearTicks(range.first, range.last, Math.max(2, Math.floor(this.width / 75)))) {
      if (state.along === "epochs" && !Number.isInteger(tick)) continue;
      svg.append(make("line", { class: "grid", x1: x(tick), x2: x(tick), y1: box.bottom, y2: box.bottom + 4 }),
        make("text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, text(tick)));
    }
    svg.append(make("text", { x: box.right, y: box.bottom + 30, "text-anchor": "end" }, state.along === "epochs" ? "epoch" : "minutes of training"));
  }

  // The epoch whose point of any line is nearest to the pointer.
  point(event) {
    if (!this.drawn) return;
    const at = event.clientX - this.svg.getBoundingClientRect().left;
    let [best, gap] = [0, Infinity];
    for (const line of this.drawn.lines) {
      line[state.along].forEach((value, k) => {
        const distance = Math.abs(this.drawn.x(value) - at);
        if (distance < gap) [best, gap] = [this.points.indexOf(line.epochs[k]), distance];
      });
    }
    this.show(best);
  }

  words(epoch) {
    const found = [];
    for (const line of this.lines()) {
      const k = line.epochs.indexOf(epoch);
      if (k < 0) continue;
      const range = line.by.runs > 1 ? ` (${text(line.low[k])} to ${text(line.high[k])})` : "";
      const label = this.label(line);
      found.push(`${label}${label ? ": " : ""}${text(line.mean[k])}${this.panel.unit === "%" ? "%" : ""}${range}`);
    }
    return [`epoch ${epoch}`, ...found];
  }

  show(place) {
    this.at = place;
    const epoch = this.points[place];
    const { lines, x, y, box } = this.drawn;
    this.svg.querySelectorAll(".mark").forEach((one) => one.remove());
    let left = box.left;
    for (const line of lines) {
      const k = line.epochs.indexOf(epoch);
      if (k < 0) continue;
      left = x(line[state.along][k]);
      this.svg.append(make("g", { class: `mark c${line.by.color}` }, make("line", { class: "cursor", x1: left, x2: left, y1: box.top, y2: box.bottom }),
        make("circle", { class: "dot", r: 3.5, cx: left, cy: y(line.mean[k]) })));
    }
    const words = this.words(epoch);
    this.tip.replaceChildren(...words.map((one, k) => {
      const by = k > 0 ? lines.filter((line) => line.epochs.includes(epoch))[k - 1].by : null;
      return make("div", {}, ...(by ? [make("span", { class: `swatch c${by.color}` }), " "] : []), k === 0 ? make("b", {}, one) : one);
    }));
    this.tip.hidden = false;
    const toTheRight = left < this.width / 2;
    this.tip.style.left = toTheRight ? `${left + 10}px` : "auto";
    this.tip.style.right = toTheRight ? "auto" : `${this.width - left + 10}px`;
    this.svg.setAttribute("aria-valuenow", epoch);
    this.svg.setAttribute("aria-valuetext", words.join("; "));
  }

  leave() {
    this.tip.hidden = true;
    this.svg.querySelectorAll(".mark").forEach((one) => one.remove());
  }

  key(event) {
    const last = this.points.length - 1;
    const at = this.at ?? last;
    const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 10, PageUp: at + 10, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.show(Math.min(Math.max(to, 0), last));
  }

  fillTable() {
    this.table.querySelector(".scroll")?.remove();
    if (!this.table.open) return;
    const lines = this.lines();
    const head = make("tr", {}, make("th", { scope: "col" }, "epoch"), ...lines.map((line) => make("th", { scope: "col", class: "n" }, this.label(line) || this.panel.title)));
    const rows = this.points.map((epoch) => make("tr", {}, make("th", { scope: "row" }, String(epoch)), ...lines.map((line) => {
      const k = line.epochs.indexOf(epoch);
      return make("td", { class: "n" }, k < 0 ? "" : text(line.mean[k]));
    })));
    const region = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${this.panel.title}, table` });
    region.append(make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
    this.table.append(region);
  }
}

const charts = [...document.querySelectorAll(".chart")].map((figure) => new Chart(figure));
const redraw = () => charts.forEach((chart) => chart.draw());

function fillLegend() {
  const legend = document.getElementById("legend");
  legend.replaceChildren(...owners.filter((one) => one.view === state.view).map((one) => {
    const box = make("input", { type: "checkbox" });
    box.checked = !state.hidden.has(one.id);
    box.addEventListener("change", () => { if (box.checked) state.hidden.delete(one.id); else state.hidden.add(one.id); redraw(); });
    const sign = make("svg", { width: 26, height: 10, "aria-hidden": "true", class: `c${one.color}` }, make("path", { class: "line", d: "M1 5H25", "stroke-dasharray": DASHES[one.dash] }));
    return make("label", {}, box, sign, one.name);
  }));
}

const controls = document.getElementById("curve-controls");
if (controls !== null) {
  controls.hidden = false;
  controls.addEventListener("change", (event) => {
    if (event.target.name === "along") state.along = event.target.value;
    else if (event.target.name === "view") { state.view = event.target.value; fillLegend(); } else return;
    charts.forEach((chart) => { chart.at = null; });
    redraw();
  });
  fillLegend();
  redraw();
}

const timeline = data("timeline-data");
const slider = document.getElementById("timeline-slider");
if (slider !== null) {
  const figures = [...document.querySelectorAll("figure.timeline")].map((figure, place) => {
    const image = figure.querySelector("img");
    const frames = image === null ? [] : [...timeline.runs[place], { epoch: timeline.last[place], src: image.src }];
    return { image, frames, at: figure.querySelector(".at") };
  });
  const show = () => {
    const epoch = timeline.epochs[Number(slider.value)];
    document.getElementById("timeline-epoch").textContent = epoch;
    slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    for (const { image, frames, at } of figures) {
      if (image === null) continue;
      const frame = frames.filter((one) => one.epoch <= epoch).at(-1) ?? frames[0]; // the newest until then
      if (image.src !== frame.src) image.src = frame.src;
      at.textContent = `epoch ${frame.epoch}`;
    }
  };
  const play = document.getElementById("timeline-play");
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  play.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (slider.value === slider.max) slider.value = "0";
    play.textContent = "Stop";
    show();
    timer = setInterval(() => {
      slider.value = String(Number(slider.value) + 1);
      show();
      if (slider.value === slider.max) stop();
    }, Math.max(120, Math.min(500, 8000 / timeline.epochs.length)));
    return undefined;
  });
  slider.addEventListener("input", () => { stop(); show(); });
  document.getElementById("timeline-controls").hidden = timeline.epochs.length < 2;
  show();
}

const only = document.getElementById("only-different");
if (only !== null) {
  document.getElementById("settings-controls").hidden = false;
  const apply = () => document.getElementById("settings-table").classList.toggle("short", only.checked);
  only.addEventListener("change", apply);
  apply();
}
