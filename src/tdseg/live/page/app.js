// The page: which sources there are, what is to be seen of them, and the keys.

import { ask, endSession, freeName, openSession, path, setToken } from "./api.js";
import { FIGURES_MS, OVER, Tile } from "./tile.js";
import { Webcam } from "./webcam.js";

const LIST_MS = 1000;
const find = (id) => document.getElementById(id);
const settings = { opacity: 0.5, beside: false, paused: false };
const tiles = new Map(), webcam = new Webcam();
let classes = [];

// --- notices

let noticed;
function notice(text) {
  const line = find("notice");
  line.textContent = text;
  line.hidden = !text;
  clearTimeout(noticed);
  if (text) noticed = setTimeout(() => notice(""), 8000);
}
const said = (error) => [error.message, error.hint].filter(Boolean).join(" – ");

// --- the sources

const actions = {
  grow(tile) {
    const grown = tile && !tile.element.classList.contains("grown");
    for (const one of tiles.values()) one.element.classList.toggle("grown", grown && one === tile);
    find("tiles").classList.toggle("one", Boolean(grown));
    if (grown) tile.element.scrollIntoView({ block: "start" });
  },
  async end(tile) {
    if (tile.name === webcam.name) await webcam.stop();
    else await endSession(tile.name).catch((error) => notice(said(error)));
    await list();
    show();
  },
};

async function list() {
  let told;
  try {
    told = await ask("/sessions");
  } catch (error) {
    document.body.classList.add("cut");
    if (error.status === 401) await askToken();
    else find("summary").textContent = "no answer from the server";
    return;
  }
  document.body.classList.remove("cut");
  classes = told.classes;
  find("model").textContent = told.model;
  const names = new Set(told.sessions.map((session) => session.name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    if (tile.element.classList.contains("grown")) actions.grow(null);
    tile.remove();
    tiles.delete(name);
  }
  for (const facts of told.sessions) {
    const tile = tiles.get(facts.name);
    if (tile) tile.update(facts);
    else {
      tiles.set(facts.name, new Tile(facts, classes, settings, actions));
      find("tiles").append(tiles.get(facts.name).element);
    }
  }
  find("tiles").dataset.count = tiles.size;
  find("empty").hidden = tiles.size > 0;
}

function summarize() {
  const facts = [...tiles.values()].map((tile) => tile.facts);
  const running = facts.filter((one) => one.state === "running").length;
  const over = facts.filter((one) => OVER.has(one.state)).length;
  const parts = [`${running} live`, running + over < facts.length && `${facts.length - running - over} waiting`, over && `${over} over`];
  find("summary").textContent = settings.paused ? "paused" : parts.filter(Boolean).join(", ");
}

async function askToken() {
  const dialog = find("token-dialog");
  if (!dialog.open) dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  setToken(dialog.querySelector("input").value);
}

async function upload(file, wish) {
  const name = freeName(wish || file.name.replace(/\.[^.]*$/, ""), tiles);
  notice(`${file.name} is on its way …`);
  await ask(path(name), { method: "PUT", body: file });
  notice("");
  await list();
}

// --- what is to be seen

function show() {
  find("opacity-value").textContent = `${Math.round(100 * settings.opacity)} %`;
  find("opacity").value = Math.round(100 * settings.opacity);
  find("opacity").style.setProperty("--at", settings.opacity);
  find("beside").setAttribute("aria-pressed", settings.beside);
  find("pause").setAttribute("aria-pressed", settings.paused);
  find("pause").querySelector("span").textContent = settings.paused ? "Go on" : "Pause";
  find("webcam").setAttribute("aria-pressed", webcam.isOn);
  document.body.classList.toggle("beside", settings.beside);
  document.body.classList.toggle("paused", settings.paused);
  for (const tile of tiles.values()) {
    tile.draw();
    tile.next();
  }
}

const change = (values) => { Object.assign(settings, values); show(); };
const fade = (by) => change({ opacity: Math.min(1, Math.max(0, Math.round(20 * settings.opacity + by) / 20)) });

async function toggleWebcam() {
  try {
    if (webcam.isOn) await webcam.stop();
    else await webcam.start(tiles);
    await list();
  } catch (error) {
    notice(said(error));
  }
  show();
}

find("opacity").addEventListener("input", (event) => change({ opacity: event.target.value / 100 }));
find("beside").addEventListener("click", () => change({ beside: !settings.beside }));
find("pause").addEventListener("click", () => change({ paused: !settings.paused }));
find("webcam").addEventListener("click", toggleWebcam);
find("add").addEventListener("click", () => find("add-dialog").showModal());
find("keys").addEventListener("click", () => find("keys-dialog").showModal());
addEventListener("pagehide", () => webcam.stop({ keepalive: true }));

const keys = {
  " ": () => change({ paused: !settings.paused }),
  ArrowLeft: () => fade(-1),
  ArrowRight: () => fade(1),
  s: () => change({ beside: !settings.beside }),
  w: toggleWebcam,
  a: () => find("add-dialog").showModal(),
  "?": () => find("keys-dialog").showModal(),
  0: () => actions.grow(null),
  Escape: () => actions.grow(null),
};
addEventListener("keydown", (event) => {
  const { target } = event, isTyping = target.closest("dialog, input:not([type=range])");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && target.closest("button")) return; // it presses the button
  const tile = /^[1-9]$/.test(event.key) ? [...tiles.values()][event.key - 1] : undefined;
  const action = tile ? () => actions.grow(tile) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// --- adding

const form = find("add-dialog").querySelector("form");
form.querySelector(".cancel").addEventListener("click", () => find("add-dialog").close());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const error = form.querySelector(".error"), { name, source, file } = form.elements;
  error.textContent = "";
  try {
    if (file.files.length) await upload(file.files[0], name.value);
    else if (source.value.trim()) await openSession(name.value.trim(), source.value.trim());
    else throw new Error("Give an address, or choose a video.");
    find("add-dialog").close();
    form.reset();
    await list();
  } catch (refused) {
    error.textContent = said(refused);
  }
});
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("drop"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("drop"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("drop");
  for (const file of event.dataTransfer.files) upload(file).catch((error) => notice(said(error)));
});

// --- go

async function follow() {
  await list();
  setTimeout(follow, LIST_MS);
}
setInterval(() => {
  const now = performance.now();
  for (const tile of tiles.values()) tile.tick(now);
  if (!document.body.classList.contains("cut")) summarize();
}, FIGURES_MS);
show();
follow();
