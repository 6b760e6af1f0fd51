// Two photos, one answer.

import { ask, form } from "./api.js";
import { byId, el, percent, say, short } from "./dom.js";
import { heat, legend, scale, sigmas } from "./heat.js";
import { drawPng, samples, slot } from "./photo.js";

const SIGNS = { match: ["=", "match"], "no match": ["\u2260", "differ"], unsure: ["?", "unsure"], "not calibrated": ["?", ""] };
const photos = { a: null, b: null };
let latest = 0;

export function startCompare(model) {
  const failed = (words) => show(null, words);
  const slots = {};
  for (const [side, name] of [["a", "First photo"], ["b", "Second photo"]]) {
    slots[side] = slot(byId(`slot-${side}`), {
      name, invite: name, failed,
      changed: (photo) => {
        photos[side] = { ...photo, at: performance.now() };
        if (photos.a && photos.b) compare(model);
        else say(byId("verdict"), "And another photo.");
      },
    });
  }
  // The slot that is empty, or was filled longer ago.
  const next = () => slots[!photos.a || (photos.b && photos.a.at < photos.b.at) ? "a" : "b"];
  samples(byId("samples"), "Or a synthetic face:", (blob) => next().take(blob, true));
  return (files) => next().takeAll(files);
}

async function compare(model) {
  latest += 1;
  const mine = latest;
  byId("compare").classList.add("busy");
  const crop = (photo) => photo.aligned || !model.finds_faces;
  try {
    const path = `/v1/compare?aligned_a=${crop(photos.a)}&aligned_b=${crop(photos.b)}`;
    const answer = await ask("POST", path, form({}, Object.entries(photos)));
    if (mine === latest) show(answer);
  } catch (error) {
    if (mine === latest) show(null, error.message);
  } finally {
    if (mine === latest) byId("compare").classList.remove("busy");
  }
}

function show(answer, words = "") {
  const sign = byId("sign");
  const [letter, look] = answer ? SIGNS[answer.verdict] : ["?", ""];
  sign.textContent = letter;
  sign.className = `sign ${look}`;
  say(byId("verdict"), answer ? answer.sentence : words, !answer);
  const result = byId("result");
  result.hidden = !answer;
  if (answer) result.replaceChildren(...parts(answer));
}

function parts(answer) {
  const rows = answer.faces.map((face) => sigmas(face.variance));
  const shared = scale(rows);
  const faces = answer.faces.map((face, place) => faceCard(face, rows[place], shared, place));
  const card = el("div", { class: "card" }, el("div", { class: "faces" }, ...faces), legend(shared), numbers(answer), table(rows));
  return [meter(answer), el("p", { class: "meaning" }, answer.meaning), card].filter(Boolean);
}

function meter(answer) {
  if (answer.probability === null || answer.verdict === "unsure") return null;
  const fill = el("div", { class: "fill" });
  fill.style.width = `${100 * answer.probability}%`;
  return el("div", { class: "meter", role: "img", "aria-label": `Probability of one person: ${percent(answer.probability)}` },
    el("span", {}, "two people"), el("div", { class: "track" }, fill), el("span", {}, "one person"));
}

function faceCard(face, values, shared, place) {
  const name = place === 0 ? "First photo" : "Second photo";
  const canvas = el("canvas", { role: "img", "aria-label": `${name}, the face as the model sees it` });
  drawPng(canvas, face.image);
  const others = face.others === 0 ? null : el("p", { class: "quiet" }, `The largest of ${face.others + 1} faces.`);
  return el("div", { class: "face" }, el("h3", {}, name),
    el("div", { class: "views" }, canvas, heat(values, shared, name)), others,
    face.unsure ? el("p", { class: "badge" }, "Too unclear for an answer") : null);
}

function numbers(answer) {
  const rates = answer.rates.map((point) => el("tr", {},
    el("td", {}, `1 in ${Math.round(1 / point.false_match_rate).toLocaleString("en")}`),
    el("td", {}, String(point.threshold)), el("td", {}, point.match ? "yes" : "no")));
  const table = rates.length === 0 ? null : el("div", { class: "scroll" }, el("table", {},
    el("caption", {}, "Would it count as a match, if two people may be mistaken for one this often?"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Mistaken at most"), el("th", { scope: "col" }, "Threshold"), el("th", { scope: "col" }, "Match"))),
    el("tbody", {}, ...rates)));
  return el("details", {}, el("summary", {}, "Scores and thresholds"),
    el("p", { class: "quiet" }, `Likelihood ${answer.likelihood}, cosine ${answer.cosine}; thresholds are on the ${answer.method}.`),
    table, el("p", { class: "quiet" }, answer.model.note));
}

function table(rows) {
  const lines = rows[0].map((value, place) => el("tr", {}, el("th", { scope: "row" }, String(place + 1)),
    el("td", {}, short(value, 3)), el("td", {}, short(rows[1][place], 3))));
  return el("details", {}, el("summary", {}, "Uncertainty in numbers"), el("div", { class: "scroll" }, el("table", {},
    el("caption", {}, "Sigma of each sub-embedding; larger is less sure"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Sub-embedding"), el("th", { scope: "col" }, "First"), el("th", { scope: "col" }, "Second"))),
    el("tbody", {}, ...lines))));
}

