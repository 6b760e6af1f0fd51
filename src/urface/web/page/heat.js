// The paper's picture of uncertainty: a cell for each sub-embedding, dark where the model is sure. Lightness
// rises evenly, so the order reads with any colour blindness; every cell has its number too.

import { el, short } from "./dom.js";

const RAMP = ["2d024c", "2f127b", "173796", "05598e", "017493", "0f8e99", "0ea89b", "14c590", "75d87a", "bce669", "fbf163"]
  .map((hex) => [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16)));

export function colour(position) {
  const place = Math.min(Math.max(position, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[low].map((value, channel) => Math.round(value + (place - low) * (RAMP[low + 1][channel] - value)));
  return { back: `rgb(${mixed.join(" ")})`, ink: position > 0.45 ? "#101418" : "#ffffff" };
}

export const sigmas = (variance) => variance.map(Math.sqrt);

// The ends of the scale that faces share, on a logarithmic axis.
export function scale(rows) {
  const all = rows.flat();
  const [low, high] = [Math.min(...all), Math.max(...all)];
  return { low, high, digits: high / low < 1.6 ? 3 : 2, place: (value) => (high > low ? Math.log(value / low) / Math.log(high / low) : 0.5) };
}

export function heat(values, shared, name) {
  const least = values.indexOf(Math.max(...values)) + 1;
  const label = `${name}: sigma from ${short(Math.min(...values), shared.digits)} to ${short(Math.max(...values), shared.digits)}, least sure in sub-embedding ${least}. All numbers are in the table below.`;
  const grid = el("div", { class: "heat", role: "img", "aria-label": label });
  grid.style.gridTemplateColumns = `repeat(${Math.ceil(Math.sqrt(values.length))}, 1fr)`;
  for (const value of values) {
    const { back, ink } = colour(shared.place(value));
    const cell = el("span", {}, short(value, shared.digits));
    cell.style.background = back;
    cell.style.color = ink;
    grid.append(cell);
  }
  return grid;
}

export function legend(shared) {
  const ramp = el("div", { class: "ramp", "aria-hidden": "true" });
  for (let step = 0; step < 40; step += 1) {
    const piece = el("span");
    piece.style.background = colour(step / 39).back;
    ramp.append(piece);
  }
  return el("div", { class: "legend" }, "How unsure the model is of each sub-embedding (sigma)", ramp,
    el("div", { class: "ends" }, el("span", {}, `${short(shared.low, shared.digits)} sure`), el("span", {}, `${short(shared.high, shared.digits)} unsure`)));
}
