// Building elements and words: no framework, no markup in strings.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function el(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

export function icon(name) {
  const sprite = document.querySelector("[data-sprite]").dataset.sprite;
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `${sprite}#${name}` }));
}

const VERDICT_ICONS = { defect: "diamond", good: "ring", unsure: "question", reshoot: "reshoot" };

export function verdictMark(verdict, types = []) {
  return el("span", { class: "verdict" }, icon(VERDICT_ICONS[verdict] ?? "question"), types.length ? types.join(", ") : verdict);
}

export function sentence(words) {
  // Words from the server may or may not end with a full stop; a sentence has one.
  return `${words.replace(/[.\s]+$/, "")}.`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} days`;
}

export function roughly(seconds) {
  return seconds < 60 ? `${Math.round(seconds)} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : duration(seconds);
}

export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return whole < 86_400 ? `${Math.floor(whole / 3600)} h` : `${Math.floor(whole / 86_400)} d`;
}

// Times are the site's, wherever the browser is.
const SITE = { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: document.documentElement.dataset.zone };
const CLOCK = new Intl.DateTimeFormat(undefined, SITE);
const SECONDS = new Intl.DateTimeFormat(undefined, { ...SITE, second: "2-digit" });

export function clockTime(value) {
  return CLOCK.format(new Date(value));
}

export function clockSeconds(value) {
  return SECONDS.format(new Date(value));
}
