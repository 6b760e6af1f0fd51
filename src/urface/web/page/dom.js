// Elements from plain values; text never becomes markup.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value !== false && value !== null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function say(place, words, wrong = false) {
  place.textContent = words.replaceAll(" %", "\u00a0%");
  place.classList.toggle("wrong", wrong);
}

// Never 0 or 100, which no measurement supports.
export const percent = (share) => (share >= 0.9995 ? "> 99.9\u00a0%" : share < 0.0005 ? "< 0.1\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`);

// Standard deviations with two significant digits, or more, as short as a cell.
export const short = (value, digits = 2) => {
  const text = value.toPrecision(digits);
  return text.includes("e") ? Number(text).toString() : text.replace(/^0\./, ".");
};

export function bar(name, share, words) {
  const fill = el("div", { class: "fill" });
  fill.style.width = `${Math.max(0, Math.min(100, 100 * share))}%`;
  return el("div", { class: "bar" }, el("span", {}, name), el("div", { class: "track", "aria-hidden": "true" }, fill), el("span", {}, words));
}
