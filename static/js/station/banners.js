// Banners over the top of the station: what went wrong, in words, with a way out. They lie over
// the page instead of pushing it down, so that nothing moves under a finger.

import { el, icon } from "./dom.js";

const ICONS = { red: "diamond", amber: "triangle", plain: "check" };

export class Banners {
  constructor(root) {
    this.root = root;
    this.shown = new Map();
  }

  show(id, { kind = "amber", words, thumbUrl = null, actions = [], closes = true }) {
    this.hide(id);
    const close = closes ? el("button", { type: "button", class: "button small" }, "Close") : null;
    const banner = el("div", { class: `banner ${kind === "plain" ? "" : kind}` }, icon(ICONS[kind]),
      thumbUrl ? el("img", { src: thumbUrl, alt: "", width: 32, height: 32 }) : null,
      el("p", {}, words),
      ...actions.map(({ words: label, url, run }) => {
        const node = el(url ? "a" : "button", { class: "button small", href: url, type: url ? null : "button" }, label);
        if (run) node.addEventListener("click", run);
        return node;
      }), close);
    close?.addEventListener("click", () => this.hide(id));
    this.shown.set(id, banner);
    this.root.append(banner);
  }

  hide(id) {
    this.shown.get(id)?.remove();
    this.shown.delete(id);
  }
}
