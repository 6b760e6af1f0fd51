// Photos on the page: dropped, pasted, chosen, or one of the samples; drawn without an address of their own.

import { el } from "./dom.js";

const TOO_LARGE = 9_500_000; // bytes; the service refuses a request of 10 MB
export const SAMPLES = ["sample_a.jpg", "sample_b.jpg", "sample_c.jpg", "sample_d.jpg"];
const WORDS = ["a person", "the same person", "another person", "the first person, hardly to be seen"];

export async function draw(canvas, blob) {
  const bitmap = await createImageBitmap(blob);
  const side = Math.min(bitmap.width, bitmap.height);
  const left = (bitmap.width - side) / 2;
  const top = (bitmap.height - side) / 2;
  canvas.width = canvas.height = Math.min(side, 480);
  canvas.getContext("2d").drawImage(bitmap, left, top, side, side, 0, 0, canvas.width, canvas.height);
  bitmap.close();
}

export function drawPng(canvas, base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return draw(canvas, new Blob([bytes], { type: "image/png" }));
}

export function imagesOf(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

// A place to drop photos; `changed` is called with {blob, aligned} for each, `failed` with words.
export function slot(place, { name, invite, many = false, changed, failed }) {
  const canvas = el("canvas", { "aria-hidden": "true", hidden: true });
  const input = el("input", { type: "file", accept: "image/jpeg,image/png,image/webp", "aria-label": name, multiple: many });
  const box = el("label", { class: "slot" }, canvas, el("span", { class: "invite" }, el("b", {}, invite), "drop, paste or choose"), input);
  place.append(box);

  async function take(blob, aligned = false) {
    if (blob.size > TOO_LARGE) return failed("This photo is over 9.5 MB: make it smaller.");
    if (!many) {
      try {
        await draw(canvas, blob);
      } catch {
        return failed("This is no picture that a browser can show.");
      }
      canvas.hidden = false;
      box.classList.add("full");
      input.setAttribute("aria-label", `${name}: chosen; choose another`);
    }
    return changed({ blob, aligned });
  }
  async function takeAll(files) {
    if (!files.length) return failed("Choose a JPEG, PNG or WebP picture.");
    for (const file of many ? files : files.slice(0, 1)) await take(file);
  }
  input.addEventListener("change", async () => {
    if (input.files.length) await takeAll([...input.files]);
    input.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    box.addEventListener(kind, (event) => {
      event.preventDefault();
      box.classList.add("over");
    });
  }
  box.addEventListener("dragleave", () => box.classList.remove("over"));
  box.addEventListener("drop", (event) => {
    event.preventDefault();
    box.classList.remove("over");
    takeAll(imagesOf(event.dataTransfer));
  });
  const clear = () => {
    canvas.hidden = true;
    box.classList.remove("full");
    input.setAttribute("aria-label", name);
  };
  return { take, takeAll, clear };
}

// Buttons of the sample faces; `pick` is called with a blob, which is an aligned crop.
export function samples(place, words, pick) {
  place.append(el("span", {}, words));
  SAMPLES.forEach((file, number) => {
    const choose = async () => pick(await (await fetch(`/page/${file}`)).blob());
    const image = el("img", { src: `/page/${file}`, alt: "", width: 48, height: 48 });
    place.append(el("button", { type: "button", onclick: choose, "aria-label": `Sample ${number + 1}: ${WORDS[number]}`, title: WORDS[number] }, image));
  });
}
