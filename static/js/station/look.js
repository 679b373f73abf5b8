// The look: asking for what the model says, and showing it while held, latched, or outlined.
// One request a part; the server records it once.

import { showLegend } from "./legend.js";
import { mostSurprising } from "./says.js";
import { hottest } from "../viewer/heat.js";

export class Look {
  constructor(api, { viewer, screen, current, before, onFailed }) {
    Object.assign(this, { api, viewer, screen, current, before, onFailed });
    this.reset();
  }

  reset() {
    this.held = false;
    this.latched = false;
    this.outlined = false; // contour without heat: the true pixels of the hottest place
    this.hottestIndex = -1;
    this.screen.press("heat", false);
    this.screen.press("latch", false);
    this.screen.press("hottest", false);
    this.screen.hideLegend();
  }

  get isOpen() {
    return this.held || this.latched || this.outlined;
  }

  hold() {
    this.held = true;
    return this.refresh();
  }

  letGo() {
    if (!this.held) return;
    this.held = false;
    this.refresh();
  }

  latch() {
    this.latched = true;
    return this.refresh();
  }

  toggleLatch() {
    this.latched = !this.latched;
    if (!this.latched) this.outlined = false;
    return this.refresh();
  }

  endOutline() {
    if (!this.outlined) return;
    this.outlined = false;
    this.hottestIndex = -1;
    this.refresh();
  }

  async goToHottest(swapTo) {
    const part = this.current();
    this.outlined = true;
    await this.refresh();
    if (part !== this.current() || !part.reveal) return;
    const worst = mostSurprising(part.reveal);
    const index = part.views.findIndex((view) => view.image.id === worst?.image_id);
    if (index >= 0 && index !== part.active && this.hottestIndex < 0) {
      await part.loadView(index).catch(() => {});
      await swapTo(index);
    }
    const regions = hottest(part.shownOf(part.view)?.regions ?? []);
    if (regions.length === 0) return;
    this.hottestIndex = (this.hottestIndex + 1) % regions.length;
    this.viewer.frameBox(regions[this.hottestIndex].box_xyxy);
  }

  async refresh() {
    const part = this.current();
    if (!part) return;
    this.screen.press("heat", this.held || this.latched);
    this.screen.press("latch", this.latched);
    this.screen.press("hottest", this.outlined);
    if (!this.isOpen) return this.close(part);
    try {
      if (!part.reveal) {
        this.screen.says.wait(part);
        part.looking ??= this.api.look(part.id);
        part.reveal = await part.looking;
        part.looked = true;
      }
    } catch (error) {
      part.looking = null;
      if (part === this.current()) {
        this.held = this.latched = this.outlined = false;
        this.close(part);
        this.onFailed(part, error);
      }
      return;
    }
    if (part !== this.current()) return;
    this.screen.showState(part, this.isOpen);
    if (!this.isOpen) return this.close(part);
    const { view } = part;
    this.screen.says.open(part, view);
    const heat = await part.loadHeatOf(view).catch(() => null);
    if (part !== this.current() || view !== part.view || !this.isOpen) return;
    const heatShown = this.held || this.latched;
    this.viewer.setHeat(heat, { heatShown, contourShown: this.outlined });
    this.screen.showSide(part, this.viewer, true);
    if (heat && heatShown) this.screen.showLegend((root) => showLegend(root, heat, this.viewer.opacity));
    else this.screen.hideLegend();
  }

  close(part) {
    this.viewer.setHeat(null, { heatShown: false, contourShown: false });
    this.screen.hideLegend();
    this.screen.showState(part, false);
    this.screen.says.close(part, this.before());
    this.screen.showSide(part, this.viewer, false);
  }

  refreshClosed() {
    // The part before has just been revealed: tell it, unless this part's own panel is open.
    const part = this.current();
    if (part && !this.isOpen) this.screen.says.close(part, this.before());
  }
}
