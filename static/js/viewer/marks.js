// What is written over the picture: region labels and the scale bar. In CSS pixels, so that it
// keeps its size at every zoom.

import { regionSize } from "./heat.js";
import { toScreen } from "./transform.js";

const FONT = "600 12px system-ui, sans-serif";
const GROUND = "rgb(12 14 17 / 82%)";
const INK = "#FFFFFF";
const BAR_AIM_PX = 88; // the scale bar is about this long

export function drawRegionLabels(context, regions, transform, view, mmPerPixel) {
  context.save();
  context.font = FONT;
  context.textBaseline = "middle";
  regions.forEach((region, index) => {
    const [right, top] = toScreen(transform, [region.box_xyxy[2], region.box_xyxy[1]]);
    const [left, bottom] = toScreen(transform, [region.box_xyxy[0], region.box_xyxy[3]]);
    if (right < 0 || bottom < 0 || left > view.width || top > view.height) return;
    const words = `${index + 1}: ${regionSize(region, mmPerPixel)}`;
    const wide = context.measureText(words).width + 12;
    const x = Math.max(4, Math.min(view.width - wide - 4, right + 4));
    const y = Math.max(4, Math.min(view.height - 22, top - 22));
    context.fillStyle = GROUND;
    context.beginPath();
    context.roundRect(x, y, wide, 18, 2);
    context.fill();
    context.fillStyle = INK;
    context.fillText(words, x + 6, y + 9.5);
  });
  context.restore();
}

export function niceLength(aim) {
  const power = 10 ** Math.floor(Math.log10(aim));
  const rest = aim / power;
  return (rest >= 5 ? 5 : rest >= 2 ? 2 : 1) * power;
}

export function drawScaleBar(context, transform, view, { height, mmPerPixel }) {
  const mm = niceLength((BAR_AIM_PX / transform.scale) * mmPerPixel);
  const long = (mm / mmPerPixel) * transform.scale;
  const x = Math.max(20, transform.x + 20);
  const y = Math.min(view.height, transform.y + height * transform.scale) - 20;
  const words = mm >= 1 ? `${mm} mm` : `${Math.round(mm * 1000)} µm`;
  context.save();
  context.font = FONT;
  context.textAlign = "center";
  const line = (colour, width) => {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x, y - 6);
    context.lineTo(x, y);
    context.lineTo(x + long, y);
    context.lineTo(x + long, y - 6);
    context.stroke();
  };
  line("rgb(12 14 17 / 70%)", 4);
  line(INK, 2);
  context.lineWidth = 3;
  context.strokeStyle = "rgb(12 14 17 / 70%)";
  context.strokeText(words, x + long / 2, y - 10);
  context.fillStyle = INK;
  context.fillText(words, x + long / 2, y - 10);
  context.restore();
}
