// Begins: what is open, which page shows it, theme and keyboard.
import { ask, attempt, el, forControl, place, say } from "./page.js";
import { Grid, GRID_KEYS } from "./grid.js";
import { SamplePage, SAMPLE_KEYS } from "./sample.js";
import { CurvesPage, CURVE_KEYS } from "./curves.js";
import { RecordingPage, RECORDING_KEYS } from "./recording.js";
import { LivePage, LIVE_KEYS } from "./live.js";

const main = document.getElementById("main");
const help = document.getElementById("help");
const THEMES = ["system", "dark", "light"];
let shown = null;
let keys = [];

function theme(step) {
  let now = "system";
  try { now = localStorage.getItem("gmaps-theme") ?? "system"; } catch { /* a browser that keeps nothing */ }
  if (step) {
    now = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
    try { localStorage.setItem("gmaps-theme", now); } catch { /* as above */ }
  }
  if (now === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
  document.getElementById("theme").textContent = `Theme: ${now}`;
  if (step) shown?.draw?.();
}

function openHelp() {
  const all = [...keys, ["T", "theme: the system's, dark, light"], ["?", "this list"]];
  document.getElementById("help-list").replaceChildren(...all.flatMap(([key, text]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text })]));
  help.showModal();
}

function turnTo(page, list) {
  if (shown !== page) {
    shown?.hide();
    shown = page;
    keys = list;
    say();
    page.show();
  } else {
    page.follow?.();
  }
}

function storePages(about) {
  const open = (row) => { location.hash = new URLSearchParams({ row, ...grid.changed() }); };
  const grid = new Grid(about, main, open);
  const sample = new SamplePage(about, main, grid);
  return () => {
    if (place().row !== undefined) turnTo(sample, SAMPLE_KEYS);
    else {
      document.title = `${about.name} · gmaps view`;
      turnTo(grid, GRID_KEYS);
    }
  };
}

function onePage(page, list) {
  return () => turnTo(page, list);
}

const PAGES = {
  store: storePages,
  runs: (about) => onePage(new CurvesPage(about, main), CURVE_KEYS),
  recording: (about) => onePage(new RecordingPage(about, main), RECORDING_KEYS),
  live: (about) => onePage(new LivePage(about, main), LIVE_KEYS),
};

async function begin() {
  theme(false);
  document.getElementById("theme").addEventListener("click", () => theme(true));
  document.getElementById("keys").addEventListener("click", openHelp);
  document.addEventListener("keydown", (event) => {
    if (forControl(event) || help.open) return;
    if (event.key === "?") openHelp();
    else if (event.key === "t") theme(true);
  });
  const about = await attempt(() => ask("about"));
  if (!about) return;
  const command = about.kind === "live" ? "gmaps track" : "gmaps view";
  document.getElementById("home").textContent = command;
  document.title = `${about.name} · ${command}`;
  document.getElementById("what").textContent = about.name + (about.dataset ? ` (${about.dataset})` : "");
  const route = PAGES[about.kind](about);
  addEventListener("hashchange", route);
  route();
}

begin();
