// The one table of keys. The buttons take their key caps from it, the help dialog its lines.
// Ignored: repeats of a held key (zoom and arrows apart), keys typed into a field, keys with a modifier, keys while a
// dialog is open. `part: true` keys also wait until a new part has been in sight for a moment.

import { el } from "./dom.js";

export const KEYS = [
  { action: "defect", keys: ["f"], cap: "F", group: "Answer", part: true, words: "Defect: the flag is confirmed" },
  { action: "good", keys: ["j"], cap: "J", group: "Answer", part: true, words: "Good: the flag is rejected" },
  { action: "type", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], cap: "1 to 9", group: "Answer", part: true, words: "Defect of that type" },
  { action: "unsure", keys: ["u"], cap: "U", group: "Answer", part: true, words: "Unsure: another person looks" },
  { action: "reshoot", keys: ["r"], cap: "R", group: "Answer", part: true, words: "Reshoot: the picture cannot be judged" },
  { action: "defer", keys: ["d", "n"], cap: "D", group: "Answer", part: true, words: "Defer: next part without an answer (also N)" },
  { action: "undo", keys: ["z"], cap: "Z", group: "Answer", part: true, words: "Undo the last answer" },
  { action: "heat", keys: [" "], cap: "Space", group: "Look", part: true, hold: true, words: "Heat and reasons while held; the look is recorded" },
  { action: "latch", keys: ["l"], cap: "L", group: "Look", part: true, words: "Keep heat and reasons open, or close them" },
  { action: "hottest", keys: ["h"], cap: "H", group: "Look", part: true, words: "Go to the hottest region, then the next; counts as a look" },
  { action: "fainter", keys: ["["], codes: ["BracketLeft"], cap: "[", group: "Look", words: "Heat fainter" },
  { action: "stronger", keys: ["]"], codes: ["BracketRight"], cap: "]", group: "Look", words: "Heat stronger" },
  { action: "blink", keys: ["b"], cap: "B", group: "Picture", hold: true, words: "Golden reference in place of the part while held" },
  { action: "contrast", keys: ["c"], cap: "C", group: "Picture", words: "More contrast, or as it is" },
  { action: "out", repeats: true, keys: ["-"], cap: "-", group: "Picture", words: "Zoom out" },
  { action: "in", repeats: true, keys: ["=", "+"], cap: "=", group: "Picture", words: "Zoom in" },
  { action: "fit", keys: ["0"], cap: "0", group: "Picture", words: "Whole picture" },
  { action: "left", repeats: true, keys: ["arrowleft"], cap: "←", group: "Picture", words: "Move left (also drag)" },
  { action: "right", repeats: true, keys: ["arrowright"], cap: "→", group: "Picture", words: "Move right" },
  { action: "up", repeats: true, keys: ["arrowup"], cap: "↑", group: "Picture", words: "Move up" },
  { action: "down", repeats: true, keys: ["arrowdown"], cap: "↓", group: "Picture", words: "Move down" },
  { action: "view", keys: ["v"], cap: "V", group: "Picture", words: "Next view of this part" },
  { action: "help", keys: ["?"], cap: "?", group: "Help", words: "This list" },
];

const SHIFTED = new Set(["?", "+"]); // reached by Shift on many layouts
const TYPING = "input, textarea, select, [contenteditable=true], summary, .menu-list *";

function entryOf(event) {
  const key = event.key.toLowerCase();
  if (event.shiftKey && !SHIFTED.has(key)) return null;
  const byKey = KEYS.find((entry) => entry.keys.includes(key));
  if (byKey) return { entry: byKey, key };
  // Layouts that have digits and brackets on another level: go by the place on the keyboard.
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code)?.[1];
  const byPlace = KEYS.find((entry) => entry.codes?.includes(event.code) || (digit && entry.keys.includes(digit)));
  return byPlace ? { entry: byPlace, key: digit ?? key } : null;
}

export function listenToKeys(act) {
  // act(entry, {phase: "down" | "up", key, time})
  const held = new Set();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest?.(TYPING) || document.querySelector("dialog[open]")) return;
    const found = entryOf(event);
    if (!found) return;
    event.preventDefault(); // Space must not press the focused button, nor arrows scroll
    if (event.repeat && !found.entry.repeats) return;
    if (found.entry.hold) held.add(found.entry);
    act(found.entry, { phase: "down", key: found.key, time: event.timeStamp });
  });
  document.addEventListener("keyup", (event) => {
    const entry = [...held].find((other) => other.keys.includes(event.key.toLowerCase()));
    if (!entry) return;
    event.preventDefault();
    held.delete(entry);
    act(entry, { phase: "up", key: event.key, time: event.timeStamp });
  });
  addEventListener("blur", () => {
    for (const entry of held) act(entry, { phase: "up", key: "", time: performance.now() });
    held.clear();
  });
}

export function labelButtons(root) {
  for (const button of root.querySelectorAll("[data-action]")) {
    const entry = KEYS.find((other) => other.action === button.dataset.action);
    if (!entry) continue;
    for (const cap of button.querySelectorAll("kbd")) cap.textContent = entry.cap;
    button.title = entry.words;
    button.setAttribute("aria-keyshortcuts", entry.cap);
  }
}

export function fillHelp(list) {
  const groups = [...new Set(KEYS.map((entry) => entry.group))];
  list.replaceChildren(
    ...groups.map((group) =>
      el("section", {}, el("h3", {}, group), el("dl", { class: "pairs" },
        ...KEYS.filter((entry) => entry.group === group).map((entry) =>
          el("div", {}, el("dt", {}, el("kbd", {}, entry.cap)), el("dd", {}, entry.words)))))),
  );
}
