// Heat of one image: the grey map as a coloured layer and its contours.
// Grey 255 stands for map_max; nothing is drawn below the pixel threshold.

import { traceContours } from "./contours.js";
import { inferno } from "./inferno.js";

const RAMP_SHARE = 0.18; // from nothing to full strength within this share of the scale

export async function loadHeat(shown, { signal } = {}) {
  // `shown` is one entry of a reveal's images. Without a map the regions stand alone.
  const heat = {
    from: shown.heat_from,
    to: shown.heat_to,
    threshold: shown.pixel_threshold,
    regions: shown.regions ?? [],
    layer: null,
    contours: [],
  };
  if (!shown.heat_url) return heat;
  const answer = await fetch(shown.heat_url, { signal, credentials: "same-origin" });
  if (!answer.ok) throw new Error(`The heat did not load (${answer.status}).`);
  // No colour management: the grey values are measurements, not a picture.
  const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  const { grid, width, height } = greyOf(bitmap);
  bitmap.close();
  heat.layer = coloured(grid, width, height, shown);
  heat.contours = traceContours(grid, width, height, (shown.pixel_threshold / shown.map_max) * 255);
  return heat;
}

function greyOf(bitmap) {
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const grid = new Uint8Array(width * height);
  for (let index = 0; index < grid.length; index++) grid[index] = pixels[index * 4];
  return { grid, width, height };
}

function coloured(grid, width, height, shown) {
  const colours = new Uint8ClampedArray(256 * 4);
  const range = Math.max(1e-9, shown.heat_to - shown.heat_from);
  for (let grey = 0; grey < 256; grey++) {
    const value = (grey / 255) * shown.map_max;
    const above = (value - shown.pixel_threshold) / (range * RAMP_SHARE);
    colours.set(inferno((value - shown.heat_from) / range), grey * 4);
    colours[grey * 4 + 3] = value < shown.pixel_threshold ? 0 : 255 * Math.min(1, Math.max(0.25, above));
  }
  const table = new Uint32Array(colours.buffer);
  const picture = new ImageData(width, height);
  const out = new Uint32Array(picture.data.buffer);
  for (let index = 0; index < grid.length; index++) out[index] = table[grid[index]];
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

export function regionSize(region, mmPerPixel) {
  const [x0, y0, x1, y1] = region.box_xyxy;
  if (!mmPerPixel) return `${Math.round(x1 - x0)} × ${Math.round(y1 - y0)} px`;
  const digits = Math.max(x1 - x0, y1 - y0) * mmPerPixel < 10 ? 2 : 1;
  return `${((x1 - x0) * mmPerPixel).toFixed(digits)} × ${((y1 - y0) * mmPerPixel).toFixed(digits)} mm`;
}

export function hottest(regions) {
  return [...regions].sort((one, other) => other.peak - one.peak);
}
