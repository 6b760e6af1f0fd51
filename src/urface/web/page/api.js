// The service's API. Its key, where it needs one, lives in this module until the page is left.

import { byId } from "./dom.js";

let key = "";

export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function ask(method, path, form = null) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: form, cache: "no-store" });
  } catch {
    throw new Refused(0, "unreachable", "The service cannot be reached.");
  }
  if (answer.ok) return answer.json();
  let told = {};
  try {
    told = (await answer.json()).error ?? {};
  } catch {
    // A proxy between may answer with something else.
  }
  const refused = new Refused(answer.status, told.code, told.message ?? `The service answered ${answer.status}.`);
  if (refused.status === 401) {
    // A key that was given and is refused is said to be wrong; the service slows down who guesses.
    await askForKey(key ? refused.message : "");
    return ask(method, path, form);
  }
  throw refused;
}

let asking = null;

function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("key-dialog");
    byId("key").value = "";
    byId("key-wrong").textContent = wrong;
    byId("key-wrong").hidden = !wrong;
    dialog.addEventListener("cancel", (event) => event.preventDefault(), { once: true });
    dialog.addEventListener("close", () => {
      key = byId("key").value.trim();
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

// A photo is {blob, aligned}: what is to be sent, and whether it is an aligned crop.
export const form = (fields, photos) => {
  const parts = new FormData();
  for (const [name, value] of Object.entries(fields)) parts.append(name, value);
  for (const [name, photo] of photos) parts.append(name, photo.blob, "photo");
  return parts;
};
