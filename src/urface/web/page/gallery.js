// People: who is this, enrol, a person's template, remove.

import { ask, form } from "./api.js";
import { bar, byId, el, percent, say } from "./dom.js";
import { draw, samples, slot } from "./photo.js";

const MOST = 4; // photos of one enrolment: what a request may carry beside its fields
let chosen = [];
let probe = null;
let model = null;
let latest = 0; // of the questions who this is: an older answer must not stand under a newer photo

export function startGallery(told) {
  model = told;
  byId("no-gallery").hidden = model.gallery;
  byId("gallery-parts").hidden = !model.gallery;
  if (!model.gallery) return () => {};
  const ends = new Date(Date.now() + 365 * 86_400_000);
  byId("expires").value = ends.toISOString().slice(0, 10);
  const who = slot(byId("slot-probe"), {
    name: "Photo of the person to find", invite: "A photo",
    failed: (words) => say(byId("identity"), words, true),
    changed: (photo) => { probe = photo; return identify(); },
  });
  samples(byId("slot-probe"), "Or synthetic:", (blob) => who.take(blob, true));
  slot(byId("slot-enrol"), {
    name: `Photos to enrol, up to ${MOST}`, invite: `Up to ${MOST} photos`, many: true,
    failed: (words) => say(byId("enrolled"), words, true), changed: add,
  });
  byId("slot-enrol").append(el("div", { class: "thumbs", id: "thumbs" }));
  samples(byId("slot-enrol"), "Or synthetic:", (blob) => add({ blob, aligned: true }));
  for (const place of ["slot-probe", "slot-enrol"]) group(byId(place));
  byId("fpir").addEventListener("change", () => probe && identify());
  byId("enrol").addEventListener("submit", enrol);
  return (files) => who.takeAll(files);
}

function group(place) {
  const row = el("div", { class: "samples" }, ...place.querySelectorAll(":scope > span, :scope > button"));
  place.append(row);
}

async function add(photo) {
  if (chosen.length === MOST) return say(byId("enrolled"), `At most ${MOST} photos at a time.`, true);
  if (chosen.length && chosen[0].aligned !== photo.aligned && model.finds_faces) {
    return say(byId("enrolled"), "Enrol synthetic faces and photos one after the other.", true);
  }
  const canvas = el("canvas", { role: "img", "aria-label": `Photo ${chosen.length + 1} to enrol` });
  try {
    await draw(canvas, photo.blob);
  } catch {
    return say(byId("enrolled"), "This is no picture that a browser can show.", true);
  }
  chosen.push(photo);
  const drop = () => {
    chosen = chosen.filter((other) => other !== photo);
    thumb.remove();
  };
  const thumb = el("div", {}, canvas, el("button", { type: "button", onclick: drop, "aria-label": "Leave this photo out" }, "\u00d7"));
  byId("thumbs").append(thumb);
  return say(byId("enrolled"), `${chosen.length} of ${MOST} photos chosen.`);
}

async function enrol(event) {
  event.preventDefault();
  const note = byId("enrolled");
  if (!chosen.length) return say(note, "Choose a photo first.", true);
  byId("enrol-button").disabled = true;
  try {
    const fields = Object.fromEntries(["name", "reference", "purpose", "expires"].map((id) => [id, byId(id).value]));
    const aligned = chosen[0].aligned || !model.finds_faces;
    const answer = await ask("POST", `/v1/people?aligned=${aligned}`, form(fields, chosen.map((photo) => ["images", photo])));
    const others = answer.faces?.some((face) => face.others) ? " Of a photo with several faces the largest was taken: check it." : "";
    say(note, `${answer.person} is enrolled with ${answer.images} ${answer.images === 1 ? "image" : "images"}.${others}`);
    chosen = [];
    byId("thumbs").replaceChildren();
    byId("name").value = "";
    await showPeople();
  } catch (error) {
    say(note, error.message, true);
  } finally {
    byId("enrol-button").disabled = false;
  }
  return null;
}

async function identify() {
  const note = byId("identity");
  latest += 1;
  const mine = latest;
  const photo = probe;
  const aligned = photo.aligned || !model.finds_faces;
  byId("candidates").replaceChildren();
  note.replaceChildren();
  try {
    const { verdict, words, small } = await verdictOf(photo, aligned);
    if (mine !== latest) return;
    note.classList.toggle("small-print", small);
    say(note, words);
    const near = await ask("POST", `/v1/search?k=5&aligned=${aligned}`, form({}, [["image", photo]]));
    if (mine === latest) byId("candidates").replaceChildren(...candidates(near.matches, verdict));
  } catch (error) {
    if (mine !== latest) return;
    note.classList.remove("small-print");
    say(note, error.message, true);
  }
}

// What the gallery's data cannot support is refused, and the most alike are shown all the same.
async function verdictOf(photo, aligned) {
  try {
    const found = await ask("POST", `/v1/identify?fpir=${byId("fpir").value}&aligned=${aligned}`, form({}, [["image", photo]]));
    const others = found.face?.others ? ` The largest of ${found.face.others + 1} faces.` : "";
    return { verdict: found.verdict, words: found.sentence + others, small: false };
  } catch (error) {
    if (error.code !== "not_possible") throw error;
    return { verdict: "refused", words: `No name: ${error.message}.`, small: true };
  }
}

function candidates(matches, verdict) {
  if (verdict === "unsure" || !matches.length) return [];
  const rows = matches.map((match) => {
    const words = match.probability === null ? String(match.score) : percent(match.probability);
    const row = bar(match.person, match.probability ?? 0, words);
    row.classList.add("candidate");
    return row;
  });
  return [el("p", { class: "quiet" }, "Most alike, each as if asked of this person alone:"), ...rows];
}

export async function showPeople() {
  const note = byId("people-note");
  try {
    const { people, total } = await ask("GET", "/v1/people?limit=200");
    const more = total > people.length ? `, of whom ${people.length} are shown` : "";
    say(note, total === 0 ? "Nobody is enrolled yet." : `${total} enrolled${more}.`);
    byId("people").replaceChildren(...people.map(personRow));
  } catch (error) {
    // A key for searching alone may not list people.
    say(note, error.message, error.status !== 403);
    byId("people").replaceChildren();
  }
}

function personRow(person) {
  const place = el("div", { class: "template" });
  const toggle = el("button", { "aria-expanded": "false", "aria-label": `Template of ${person.person}` }, "Template");
  toggle.addEventListener("click", async () => {
    const open = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!open));
    if (open) place.replaceChildren();
    else await showTemplate(person, place);
  });
  const drop = el("button", { class: "danger", "aria-label": `Remove ${person.person}`, onclick: () => remove(person) }, "Remove");
  const images = `${person.images} ${person.images === 1 ? "image" : "images"}, until ${person.expires.slice(0, 10)}`;
  return el("li", {}, el("div", { class: "row" }, el("div", { class: "who" }, el("h3", {}, person.person), el("p", { class: "quiet" }, images)), toggle, drop), place);
}

async function showTemplate(person, place) {
  try {
    const { images } = await ask("GET", `/v1/people/${person.id}/template`);
    const rows = images.map((image) => {
      const row = bar(`Image ${image.image}`, image.weight, percent(image.weight));
      const strip = el("div", { class: "strip", "aria-hidden": "true" });
      for (const weight of image.weights) {
        const cell = el("span");
        cell.style.opacity = String(0.12 + 0.88 * weight);
        strip.append(cell);
      }
      row.append(strip);
      return row;
    });
    place.replaceChildren(el("p", { class: "quiet" }, "How much each image counts, and below it in each sub-embedding: the surer the model is of an image, the more."), ...rows);
  } catch (error) {
    place.replaceChildren(el("p", { class: "wrong" }, error.message));
  }
}

function remove(person) {
  const dialog = byId("remove-dialog");
  byId("remove-words").textContent = `${person.person}, all ${person.images} images of the template, and the consent kept with them. This cannot be taken back.`;
  dialog.returnValue = "no";
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "yes") return;
    try {
      await ask("DELETE", `/v1/people/${person.id}`);
      await showPeople();
      byId("people-note").focus(); // the button that was pressed is gone
    } catch (error) {
      say(byId("people-note"), error.message, true);
    }
  }, { once: true });
  dialog.showModal();
}
