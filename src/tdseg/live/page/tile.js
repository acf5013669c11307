// One source: its picture with the classes in colour, what is in it, how old it is, and how it fares.

import { connect } from "./api.js";
import { drawAges, drawShares, History } from "./plot.js";

const WORDS = {
  opening: "opening", running: "live", stalled: "stalled", reconnecting: "reconnecting", ended: "ended", failed: "failed",
};
export const OVER = new Set(["ended", "failed"]);
export const FIGURES_MS = 200;
const RETRY_MS = 1500, LEAST_SHARE = 0.0005;

const bitmap = (base64, type) =>
  createImageBitmap(new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type }));

const span = (ms) => (ms === null ? "–" : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

export class Tile {
  constructor(facts, classes, settings, actions) {
    Object.assign(this, { name: facts.name, facts, classes, settings });
    this.element = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    this.element.dataset.name = facts.name;
    this.history = new History();
    this.rows = new Map();
    this.colors = new Map(classes.map(({ name, color }) => [color, name]));
    this.find("h2").textContent = facts.name;
    this.find("h2").title = facts.source;
    [this.plain, this.drawn] = [this.find(".plain canvas"), this.find(".drawn canvas")];
    this.plain.setAttribute("aria-label", `${facts.name}, source`);
    this.drawn.setAttribute("aria-label", `${facts.name}, classes`);
    this.find(".grow").addEventListener("click", () => actions.grow(this));
    this.find(".end").addEventListener("click", () => actions.end(this));
    this.find(".views").addEventListener("dblclick", () => actions.grow(this));
    for (const canvas of [this.plain, this.drawn]) {
      canvas.addEventListener("pointermove", (event) => this.point(event, canvas));
      canvas.addEventListener("pointerleave", () => { this.find(".class-name").hidden = true; });
    }
    this.mask = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    this.update(facts);
    this.open();
  }

  find(selector) { return this.element.querySelector(selector); }

  // --- the line to the server

  open() {
    this.socket = connect(this.name, { mask: "png", frame: "1", ask: "1" });
    this.socket.addEventListener("open", () => this.next());
    this.socket.addEventListener("message", (event) => this.take(JSON.parse(event.data)));
    this.socket.addEventListener("close", () => {
      this.isAsking = false;
      if (!this.isGone && !OVER.has(this.facts.state)) setTimeout(() => this.isGone || this.open(), RETRY_MS);
    });
  }

  next() { // asked for when the last picture is shown: a tab that is hidden, paused or slow gets no more than it shows
    if (this.isAsking || this.settings.paused || this.socket.readyState !== WebSocket.OPEN) return;
    this.isAsking = true;
    this.socket.send("next");
  }

  async take(message) {
    if (message.type === "state") this.update({ ...this.facts, state: message.state, problem: message.problem });
    if (message.type !== "result") return;
    const arrived = performance.now();
    [this.frame, this.colored] = await Promise.all([bitmap(message.frame, "image/jpeg"), bitmap(message.mask, "image/png")]);
    this.result = { ...message, arrived };
    this.isAsking = false;
    this.history.add(arrived, message.shares, message.age_ms);
    requestAnimationFrame(() => {
      this.draw();
      this.next();
    });
  }

  remove() {
    this.isGone = true;
    this.socket.close();
    this.element.remove();
  }

  // --- the picture

  draw() {
    if (!this.frame) return;
    const { width, height } = this.frame;
    for (const canvas of [this.plain, this.drawn]) {
      if (canvas.width !== width || canvas.height !== height) {
        Object.assign(canvas, { width, height });
        this.find(".views").style.setProperty("--aspect", `${width} / ${height}`);
      }
    }
    if (this.settings.beside) this.plain.getContext("2d").drawImage(this.frame, 0, 0);
    const pen = this.drawn.getContext("2d");
    pen.globalAlpha = 1;
    pen.drawImage(this.frame, 0, 0);
    pen.globalAlpha = this.settings.opacity;
    pen.drawImage(this.colored, 0, 0, width, height);
    this.element.dataset.index = this.result.index;
  }

  point(event, canvas) {
    const label = this.find(".class-name");
    if (!this.colored) return;
    const box = canvas.getBoundingClientRect(), views = this.find(".views").getBoundingClientRect();
    const at = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    Object.assign(this.mask.canvas, { width: 1, height: 1 });
    const [x, y] = [Math.floor(at[0] * this.colored.width), Math.floor(at[1] * this.colored.height)];
    this.mask.drawImage(this.colored, x, y, 1, 1, 0, 0, 1, 1);
    const color = `#${[...this.mask.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((one) => one.toString(16).padStart(2, "0")).join("")}`;
    label.textContent = this.colors.get(color) ?? "";
    label.hidden = !label.textContent;
    const left = Math.min(event.clientX - views.left + 14, views.width - label.offsetWidth - 6);
    label.style.transform = `translate(${left}px, ${Math.max(6, event.clientY - views.top - 30)}px)`;
  }

  // --- what is said of it

  update(facts) {
    this.facts = facts;
    const { state, problem } = facts, words = WORDS[state] ?? state;
    this.element.dataset.state = state;
    this.find(".state span").textContent = words;
    this.find(".skipped").textContent = facts.skipped.toLocaleString("en");
    const veil = this.find(".veil"), waits = !this.result && !OVER.has(state);
    veil.hidden = state === "running" && !waits;
    veil.querySelector("b").textContent = waits ? "waiting for the first frame" : words;
    veil.querySelector("span").textContent = problem ?? "";
  }

  tick(now) {
    const { result } = this;
    if (!result) return;
    if (this.facts.state === "running") this.find(".veil").hidden = true;
    const age = result.age_ms === null ? null : result.age_ms + (this.settings.paused ? 0 : now - result.arrived);
    const isOver = OVER.has(this.facts.state);
    this.find(".fps").textContent = isOver ? "–" : (this.facts.state === "running" ? result.fps : this.facts.fps).toFixed(1);
    this.find(".age").textContent = isOver ? "–" : span(age);
    this.find(".age").classList.toggle("old", !isOver && age > 1000);
    this.find(".latency").textContent = span(result.latency_ms);
    this.find(".scale").textContent = `up to ${span(this.history.greatestAge())}`;
    const seconds = Math.round(this.history.span(now) / 1000);
    this.find(".span").textContent = seconds < 60 ? `last ${seconds} s` : "last minute";
    this.legend(result.shares);
    if (isOver) return; // the plots stand as they were
    drawShares(this.find(".shares"), this.history, this.classes, now);
    drawAges(this.find(".ages"), this.history, now);
  }

  legend(shares) {
    const list = this.find(".legend");
    for (const { name, color } of this.classes) { // in the order of the classes, so that rows do not jump
      const share = shares[name] ?? 0;
      let row = this.rows.get(name);
      if (!row && share < LEAST_SHARE) continue;
      if (!row) {
        row = document.createElement("li");
        row.append(...["i", "span", "b", "output"].map((kind) => document.createElement(kind)));
        row.children[0].style.background = row.children[2].style.background = color;
        row.children[1].textContent = row.title = name;
        row.style.order = this.classes.findIndex((one) => one.name === name);
        this.rows.set(name, row);
        list.append(row);
      }
      row.classList.toggle("gone", share < LEAST_SHARE);
      row.children[2].style.setProperty("--share", share);
      row.children[3].textContent = `${(100 * share).toFixed(1)} %`;
    }
  }
}
