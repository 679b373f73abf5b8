// The page's own elements: header, picture panel, buttons, the empty state. No decisions here.

import { clockSeconds, duration, el, icon, roughly } from "./dom.js";
import { KEYS } from "./keys.js";
import { Says } from "./says.js";
import { Side } from "./side.js";
import { fitted } from "../viewer/transform.js";

const TAP_MS = 250; // a press on Heat shorter than this latches it instead of holding it

export class Screen {
  constructor(root, { onType, onSwap }) {
    this.root = root.querySelector("main");
    this.all = root;
    this.onType = onType;
    const says = (name) => root.querySelector(`[data-says="${name}"]`);
    this.says = new Says({ title: says("title"), note: says("note"), body: says("body") });
    this.side = new Side(this.root, { onSwap });
    this.typesShown = "";
  }

  node(name) {
    return this.all.querySelector(`[data-station="${name}"]`);
  }

  text(name, words) {
    this.node(name).textContent = words;
  }

  followButtons(act) {
    for (const button of this.root.querySelectorAll("[data-action]")) {
      const entry = KEYS.find((other) => other.action === button.dataset.action);
      if (entry.hold) this.followHold(button, entry, act);
      else button.addEventListener("click", (event) => act(entry, { phase: "down", key: "", time: event.timeStamp }));
    }
  }

  followHold(button, entry, act) {
    // Press and hold works like the key, for touch; a short tap on Heat latches it.
    let since = 0;
    const end = (event) => {
      if (!since) return;
      const wasTap = performance.now() - since < TAP_MS;
      since = 0;
      act(entry, { phase: "up", key: "", time: event.timeStamp });
      if (wasTap && entry.action === "heat") {
        act(KEYS.find((other) => other.action === "latch"), { phase: "down", key: "", time: event.timeStamp });
      }
    };
    button.addEventListener("pointerdown", (event) => {
      button.setPointerCapture(event.pointerId);
      since = performance.now();
      act(entry, { phase: "down", key: "", time: event.timeStamp });
    });
    button.addEventListener("pointerup", end);
    button.addEventListener("pointercancel", end);
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  press(action, pressed) {
    this.root.querySelector(`.tool[data-action="${action}"]`)?.setAttribute("aria-pressed", String(pressed));
  }

  openHelp() {
    this.root.querySelector("#keys-help").showModal();
  }

  showPart(part, before) {
    const { item } = part;
    this.root.classList.remove("is-empty");
    this.node("title").replaceChildren(el("b", {}, item.product.name), el("span", { class: "muted" }, ` ${[item.line, item.station && `station ${item.station}`].filter(Boolean).join(", ")}`));
    this.text("serial", item.serial);
    this.showWhere(part);
    this.showTypes(item.defect_types);
    this.showState(part, false);
    this.says.close(part, before);
  }

  showWhere(part) {
    const { item, view } = part;
    this.text("where", [item.station && `station ${item.station}`, view?.image.view, clockSeconds(item.seen_at)].filter(Boolean).join(", "));
  }

  showState(part, open) {
    const words = part.item.overlay_first ? "heat shown at once: product setting"
      : open ? "looked before answer: recorded"
      : part.looked ? "looked before answer: recorded"
      : "raw picture, nothing drawn";
    this.text("state", words);
  }

  showTypes(types) {
    const wanted = types.map((type) => `${type.id} ${type.key} ${type.name}`).join("|");
    if (wanted === this.typesShown) return;
    this.typesShown = wanted;
    this.node("types").replaceChildren(
      ...types.slice(0, 9).map((type) => {
        const button = el("button", { type: "button", class: "answer", "data-type": type.id, title: `Defect: ${type.name}`, "aria-keyshortcuts": type.key },
          type.key === null ? "" : el("kbd", {}, String(type.key)), el("span", { class: "type-name" }, type.name));
        button.addEventListener("click", (event) => this.onType(type, event.timeStamp));
        return button;
      }),
    );
    const keyed = types.filter((type) => type.key !== null).slice(0, 9);
    this.text("type-hint", keyed.length > 1 ? `or type ${keyed[0].key} to ${keyed.at(-1).key}` : "flag confirmed");
  }

  showZoom(viewer) {
    this.text("zoom", viewer.picture ? `${Math.round(viewer.transform.scale * viewer.ratio * 100)} %` : "");
    this.press("fit", viewer.isFitted);
  }

  showSide(part, viewer, open) {
    if (!part.view) return this.side.clear();
    const size = { width: part.view.image.width, height: part.view.image.height };
    this.side.show(part, part.view, { open, scale: fitted(size, viewer.view).scale });
  }

  showLegend(fill) {
    const legend = this.node("legend");
    fill(legend);
    legend.hidden = false;
  }

  hideLegend() {
    this.node("legend").hidden = true;
  }

  showMessage(words, retry = null) {
    const box = this.node("message");
    box.hidden = !words;
    box.replaceChildren();
    if (!words) return;
    box.append(el("p", {}, words));
    if (retry) {
      const button = el("button", { type: "button", class: "button" }, "Try again");
      button.addEventListener("click", retry);
      box.append(button);
    }
  }

  showCounts(waiting, oldest) {
    this.text("waiting", waiting ?? "");
    if (oldest !== undefined) this.text("oldest", oldest === null ? "" : `oldest ${roughly(oldest)}`);
    if (waiting === 0) this.text("oldest", "");
  }

  showPace({ answered, seconds }) {
    this.text("answered", `${answered} answered`);
    this.text("pace", answered ? `${(seconds / answered).toFixed(1)} s a part` : "");
  }

  showEmpty({ loading, trouble, askedAt, waiting }) {
    this.root.classList.add("is-empty");
    this.text("serial", "No part open");
    this.text("where", "");
    this.text("state", "");
    this.says.clear();
    this.side.clear();
    this.hideLegend();
    const box = this.node("message");
    box.hidden = false;
    const ago = askedAt ? `Asked ${duration((Date.now() - askedAt) / 1000)} ago.` : "";
    const inUse = waiting ? ` ${waiting} ${waiting === 1 ? "part is" : "parts are"} open at other stations.` : "";
    const [title, words] = trouble ? ["The queue is not reached.", `${trouble} This page tries again by itself. ${ago}`]
      : loading ? ["Getting the first part.", ""]
      : ["Nothing is waiting.", `The next flagged part opens here by itself.${inUse} ${ago}`];
    box.replaceChildren(el("div", { class: "empty" }, trouble ? icon("triangle") : "", el("b", {}, title), words ? el("p", {}, words) : ""));
  }
}
