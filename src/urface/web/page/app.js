// Starts the page: what the service is, and two tabs.

import { ask } from "./api.js";
import { byId } from "./dom.js";
import { startCompare } from "./compare.js";
import { showPeople, startGallery } from "./gallery.js";
import { imagesOf } from "./photo.js";

const TABS = ["compare", "gallery"];
let model = null;
const pasted = {};

function open(name) {
  shown = name;
  for (const other of TABS) {
    const chosen = other === name;
    byId(other).hidden = !chosen;
    byId(`tab-${other}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${other}`).tabIndex = chosen ? 0 : -1;
  }
  if (name === "gallery" && model?.gallery) showPeople();
}

// The skip link's #content is no tab: it leaves the one that is shown.
let shown = TABS[0];
function named() {
  const name = location.hash.slice(1);
  if (!name) return TABS[0];
  return TABS.includes(name) ? name : shown;
}

function startTabs() {
  TABS.forEach((name, place) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => { location.hash = name; });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(place + step + TABS.length) % TABS.length];
      byId(`tab-${next}`).focus();
      location.hash = next;
    });
  });
  addEventListener("hashchange", () => open(named()));
}

async function start() {
  startTabs();
  const note = byId("model-note");
  try {
    model = await ask("GET", "/v1/model");
  } catch (error) {
    note.textContent = error.message;
    note.hidden = false;
    return;
  }
  const crops = model.finds_faces ? "" : " No face detector is installed here: give aligned crops.";
  note.textContent = model.model.note + crops;
  note.hidden = false;
  note.classList.toggle("demonstration", model.model.demonstration);
  pasted.compare = startCompare(model);
  pasted.gallery = startGallery(model);
  open(named());
  document.body.dataset.ready = "yes";
}

// A photo that misses its place must not make the browser leave the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
addEventListener("paste", (event) => {
  const images = imagesOf(event.clipboardData);
  if (images.length) pasted[named()]?.(images);
});
start();
