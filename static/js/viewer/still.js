// A small picture that does not move: the golden reference, or a close-up of one place.

import { strokeContours } from "./contours.js";

export class Still {
  constructor(canvas) {
    this.canvas = canvas;
    this.content = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(content) {
    // content: {bitmap, width, height (image pixels), contours, crop {x, y, scale} or null}
    const same = content && this.content && Object.keys(content).every((name) => content[name] === this.content[name]);
    this.content = content;
    if (!same) this.draw(); // the reference stays while parts change
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.content?.bitmap) return;
    const { bitmap, crop, contours } = this.content;
    const scale = crop?.scale ?? Math.min(width / this.content.width, height / this.content.height);
    const box = {
      left: crop ? width / 2 - crop.x * scale : (width - this.content.width * scale) / 2,
      top: crop ? height / 2 - crop.y * scale : (height - this.content.height * scale) / 2,
      width: this.content.width * scale,
      height: this.content.height * scale,
    };
    context.imageSmoothingQuality = "medium";
    context.drawImage(bitmap, box.left, box.top, box.width, box.height);
    if (contours?.length) strokeContours(context, contours, { ...box, dashed: true });
  }
}
