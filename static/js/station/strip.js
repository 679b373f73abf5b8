// The strip: the last ten decisions, oldest left, with the way back on the newest, and the parts
// that come next.

import { age, el, verdictMark } from "./dom.js";

export const SHOWN = 10;

export class Strip {
  constructor(root, nextRoot, { onUndo }) {
    this.root = root;
    this.nextRoot = nextRoot;
    this.onUndo = onUndo;
    this.entries = []; // oldest first: {key, decisionId, itemId, serial, thumbUrl, verdict, types, at, state}
    setInterval(() => this.tellAges(), 1_000);
  }

  fill(decisions) {
    // Newest first from the server; entries of this page that wait for their answer stay on top.
    const known = decisions.map((decision) => ({
      key: null,
      decisionId: decision.id,
      itemId: decision.item_id,
      serial: decision.serial,
      thumbUrl: decision.thumb_url,
      verdict: decision.verdict,
      types: decision.defect_types,
      at: Date.parse(decision.at),
      undoable: decision.undoable,
      state: "saved",
    }));
    const mine = this.entries.filter((entry) => !known.some((other) => other.decisionId === entry.decisionId));
    this.entries = [...known.reverse(), ...mine].slice(-SHOWN);
    this.render();
  }

  add(entry) {
    this.entries = [...this.entries, { undoable: true, state: "waiting", ...entry }].slice(-SHOWN);
    this.render();
  }

  change(key, change) {
    const entry = this.entries.find((other) => other.key === key);
    if (entry) Object.assign(entry, change);
    this.render();
  }

  remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.render();
  }

  newest() {
    const last = this.entries.at(-1);
    return last && last.undoable && last.state !== "refused" ? last : null;
  }

  render() {
    const newest = this.newest();
    this.root.replaceChildren(
      ...[...this.entries].reverse().map((entry) => {
        const words = el("span", { class: "strip-words" }, verdictMark(entry.verdict, entry.types),
          el("span", { class: "muted", "data-at": entry.at }, this.stateWords(entry)));
        const thumb = entry.thumbUrl ? el("img", { src: entry.thumbUrl, alt: "", class: "thumb" }) : el("span", { class: "thumb" });
        if (entry !== newest) return el("li", { class: entry.state, title: entry.serial }, thumb, words);
        const button = el("button", { type: "button", title: `Undo the answer on ${entry.serial}`, "aria-keyshortcuts": "Z" },
          thumb, words, el("kbd", {}, "Z"));
        button.addEventListener("click", () => this.onUndo());
        return el("li", { class: `newest ${entry.state}` }, button);
      }),
    );
    if (this.entries.length === 0) this.root.append(el("li", { class: "muted" }, "Your last ten answers stand here."));
  }

  stateWords(entry) {
    return entry.state === "refused" ? "not counted" : age((Date.now() - entry.at) / 1000);
  }

  tellAges() {
    for (const node of this.root.querySelectorAll("[data-at]")) {
      if (node.textContent !== "not counted") node.textContent = age((Date.now() - Number(node.dataset.at)) / 1000);
    }
  }

  showNext(parts, waiting, openCount) {
    const more = Math.max(0, (waiting ?? 0) - parts.length - openCount);
    this.nextRoot.replaceChildren(
      el("span", { class: "muted" }, parts.length ? "next ready" : "none ready"),
      ...parts.filter((part) => part.thumbUrl).map((part) => el("img", { class: "thumb", src: part.thumbUrl, alt: "" })),
      more ? el("span", { class: "muted" }, `+${more}`) : "",
    );
  }
}
