// The middle column: golden reference above; below it the other views of the part, or, while the
// heat is open, the hottest place beside a normal one.

import { fetchBitmap } from "./parts.js";
import { el } from "./dom.js";
import { hottest } from "../viewer/heat.js";
import { Still } from "../viewer/still.js";

const ENLARGED = 2; // times the scale of the whole picture

export class Side {
  constructor(root, { onSwap }) {
    const find = (name) => root.querySelector(`[data-side="${name}"]`);
    this.reference = new Still(find("reference"));
    this.referenceNote = find("reference-note");
    this.title = find("title");
    this.note = find("note");
    this.views = find("views");
    this.closeUps = find("close-ups");
    this.here = new Still(find("here"));
    this.normal = new Still(find("normal"));
    this.normalWords = find("normal-words");
    this.onSwap = onSwap;
  }

  show(part, view, { open, scale }) {
    this.shownView = view;
    const size = { width: view.image.width, height: view.image.height };
    this.reference.show({ ...size, bitmap: view.reference, contours: open ? view.heat?.contours : null });
    this.referenceNote.textContent = view.reference ? "" : view.image.reference_url ? "did not load" : "not set for this view";
    const place = open ? this.placeOf(part, view) : null;
    this.views.hidden = Boolean(place);
    this.closeUps.hidden = !place;
    if (place) this.showPlace(part, view, place, scale);
    else this.showViews(part, view);
  }

  placeOf(part, view) {
    const shown = part.shownOf(view);
    return hottest(shown?.regions ?? [])[0]?.peak_xy ?? shown?.explanation?.place_xy ?? null;
  }

  showPlace(part, view, [x, y], fittedScale) {
    const scale = fittedScale * ENLARGED;
    const size = { width: view.image.width, height: view.image.height };
    this.title.textContent = `Hottest place, x ${ENLARGED}`;
    this.note.textContent = "";
    this.here.show({ ...size, bitmap: view.original ?? view.bitmap, crop: { x, y, scale } });
    const explanation = part.shownOf(view)?.explanation;
    if (explanation?.normal_url && explanation.normal_place_xy) {
      this.normalWords.textContent = "Nearest normal";
      this.showNormal(view, explanation, size, scale);
    } else {
      this.showSamePlace(view, size, { x, y, scale });
    }
  }

  showSamePlace(view, size, crop) {
    this.normalWords.textContent = view.reference ? "Same place, reference" : "No reference";
    this.normal.show({ ...size, bitmap: view.reference, crop });
  }

  async showNormal(view, explanation, size, scale) {
    view.normalLoading ??= fetchBitmap(explanation.normal_url).catch(() => null);
    const bitmap = await view.normalLoading;
    if (this.shownView !== view) return; // another view or part came meanwhile
    if (!bitmap) {
      const [hereX, hereY] = explanation.place_xy ?? explanation.normal_place_xy;
      return this.showSamePlace(view, size, { x: hereX, y: hereY, scale });
    }
    const [x, y] = explanation.normal_place_xy;
    this.normal.show({
      width: explanation.normal_width ?? size.width,
      height: explanation.normal_height ?? size.height,
      bitmap,
      crop: { x, y, scale },
    });
  }

  showViews(part, view) {
    const others = part.views.filter((other) => other !== view);
    this.title.textContent = "Other views of this part";
    this.note.textContent = others.length ? "click to swap" : "";
    this.views.replaceChildren(
      ...others.map((other) => {
        const button = el("button", { type: "button", class: "other-view" },
          el("img", { class: "thumb", src: other.image.thumb_url, alt: "" }), el("span", {}, other.image.view));
        button.addEventListener("click", () => this.onSwap(part.views.indexOf(other)));
        return button;
      }),
    );
    if (others.length === 0) this.views.append(el("p", { class: "note" }, "This part has one view."));
  }

  clear() {
    this.reference.show(null);
    this.referenceNote.textContent = "";
    this.views.replaceChildren();
    this.views.hidden = false;
    this.closeUps.hidden = true;
    this.title.textContent = "Other views of this part";
    this.note.textContent = "";
  }
}
