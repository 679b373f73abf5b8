// The picture: one canvas, one transform. Preview first, the original's pixels once the zoom asks
// for more than the preview has; heat, contour, labels and scale bar on top.

import { strokeContours } from "./contours.js";
import { followPointers } from "./gestures.js";
import { drawRegionLabels, drawScaleBar } from "./marks.js";
import { fitted, framed, kept, panned, zoomedAt } from "./transform.js";

export const OPACITY_START = 0.62;
const OPACITY_STEP = 0.1;
const CONTRAST = "contrast(1.8) brightness(1.05)";

export class Viewer {
  constructor(canvas, { onChange = () => {}, onOriginalNeeded = () => {} } = {}) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: true });
    this.onChange = onChange;
    this.onOriginalNeeded = onOriginalNeeded;
    this.picture = null;
    this.heat = null;
    this.heatShown = false;
    this.contourShown = false;
    this.opacity = OPACITY_START;
    this.blinking = false;
    this.contrast = false;
    this.isFitted = true;
    this.transform = { scale: 1, x: 0, y: 0 };
    this.view = { width: 0, height: 0 };
    this.frame = 0;
    new ResizeObserver(() => this.measure()).observe(canvas);
    followPointers(canvas, this);
    this.measure();
  }

  // picture: {width, height, mmPerPixel, bitmap, original, reference, small}, or null for none;
  // small is the bitmap already at the size of `fittedPixels`, so that it is painted at once
  show(picture) {
    this.picture = picture;
    this.heat = null;
    this.heatShown = false;
    this.contourShown = false;
    this.blinking = false;
    this.isFitted = true;
    if (picture) this.transform = fitted(picture, this.view);
    this.draw();
    this.onChange(this);
  }

  fittedPixels(picture) {
    const { scale } = fitted(picture, this.view);
    return { width: Math.round(picture.width * scale * this.ratio), height: Math.round(picture.height * scale * this.ratio) };
  }

  setHeat(heat, { heatShown, contourShown }) {
    this.heat = heat;
    this.heatShown = heatShown;
    this.contourShown = contourShown;
    this.requestDraw();
  }

  setBlinking(blinking) {
    this.blinking = blinking && Boolean(this.picture?.reference);
    this.requestDraw();
  }

  setContrast(contrast) {
    this.contrast = contrast;
    this.requestDraw();
  }

  changeOpacity(direction) {
    this.opacity = Math.min(1, Math.max(0.1, Math.round((this.opacity + direction * OPACITY_STEP) * 100) / 100));
    this.requestDraw();
    this.onChange(this);
  }

  fit() {
    if (!this.picture) return;
    this.isFitted = true;
    this.move(fitted(this.picture, this.view));
  }

  zoomBy(factor, point = { x: this.view.width / 2, y: this.view.height / 2 }) {
    if (!this.picture) return;
    const smallest = fitted(this.picture, this.view).scale;
    const next = zoomedAt(this.transform, factor, point, smallest);
    this.isFitted = next.scale <= smallest * 1.0001;
    this.move(this.isFitted ? fitted(this.picture, this.view) : next);
  }

  zoomTo(scale, point) {
    this.zoomBy(scale / this.transform.scale, point);
  }

  panBy(dx, dy) {
    if (this.picture && !this.isFitted) this.move(panned(this.transform, dx, dy));
  }

  frameBox(box) {
    if (!this.picture) return;
    const smallest = fitted(this.picture, this.view).scale;
    const next = framed(box, this.view, { largest: Math.max(1, smallest * 4) });
    this.isFitted = next.scale <= smallest;
    this.move(this.isFitted ? fitted(this.picture, this.view) : next);
  }

  move(transform) {
    this.transform = kept(transform, this.picture, this.view);
    this.requestDraw();
    this.onChange(this);
    const { bitmap, original, width } = this.picture;
    const needs = this.transform.scale * this.ratio > (bitmap?.width ?? 0) / width + 0.001;
    if (needs && !original && bitmap && bitmap.width < width) this.onOriginalNeeded(this.picture);
  }

  measure() {
    this.ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.view = { width, height };
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    if (this.picture) {
      this.transform = this.isFitted
        ? fitted(this.picture, this.view)
        : kept(this.transform, this.picture, this.view);
      this.onChange(this);
    }
    this.draw();
  }

  requestDraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { context, ratio, picture, transform, view } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    if (!picture?.bitmap) return;
    const box = {
      left: transform.x,
      top: transform.y,
      width: picture.width * transform.scale,
      height: picture.height * transform.scale,
    };
    if (this.contrast) context.filter = CONTRAST;
    this.drawPicture(box);
    context.filter = "none";
    if (this.heat && !this.blinking) this.drawHeat(box);
    if (picture.mmPerPixel) drawScaleBar(context, transform, view, picture);
  }

  drawPicture(box) {
    const { context, ratio, picture } = this;
    const { small } = picture;
    if (this.isFitted && !this.blinking && small && Math.abs(small.width - box.width * ratio) < 1) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.drawImage(small, Math.round(box.left * ratio), Math.round(box.top * ratio));
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      return;
    }
    const source = this.blinking ? picture.reference : (picture.original ?? picture.bitmap);
    const deviceScale = (box.width * ratio) / source.width;
    // True pixels: no interpolation once a pixel of the file is at least two of the screen.
    context.imageSmoothingEnabled = deviceScale < 2 || source.width < picture.width;
    context.imageSmoothingQuality = "medium";
    context.drawImage(source, box.left, box.top, box.width, box.height);
  }

  drawHeat(box) {
    const { context, heat } = this;
    if (this.heatShown && heat.layer) {
      context.save();
      context.imageSmoothingEnabled = true;
      context.globalAlpha = this.opacity;
      context.drawImage(heat.layer, box.left, box.top, box.width, box.height);
      context.restore();
    }
    if (this.heatShown || this.contourShown) {
      strokeContours(context, heat.contours, box);
      drawRegionLabels(context, heat.regions, this.transform, this.view, this.picture.mmPerPixel);
    }
  }
}
