// The heat's legend: the fixed scale of the model version, its threshold, and the peak of this view.

import { infernoCss } from "../viewer/inferno.js";
import { svg } from "./dom.js";

const TOP = 12;
const LONG = 148;
const STEPS = 20;
const CLEAR_PX = 14; // labels nearer than this to the peak's are left out

export function showLegend(root, heat, opacity) {
  const place = (value) => TOP + (1 - (value - heat.from) / (heat.to - heat.from || 1)) * LONG;
  const peak = heat.regions.length ? Math.min(heat.to, Math.max(...heat.regions.map((region) => region.peak))) : null;
  const label = (value, kind = "") => svg("text", { x: 21, y: place(value) + 4, class: kind }, value.toFixed(value < 10 ? 2 : 1));
  const ends = [heat.to, heat.from].filter((value) => peak === null || Math.abs(place(value) - place(peak)) >= CLEAR_PX);
  root.replaceChildren(
    svg("svg", { viewBox: "0 0 56 236", width: 56, height: 236, role: "img", "aria-label": "Scale of the heat" },
      ...Array.from({ length: STEPS }, (_, step) =>
        svg("rect", { x: 4, y: TOP + (LONG / STEPS) * step, width: 12, height: LONG / STEPS + 0.5, fill: infernoCss(1 - (step + 0.5) / STEPS) })),
      svg("rect", { class: "none", x: 4.5, y: TOP + LONG + 2.5, width: 11, height: 26 }),
      svg("text", { class: "muted", x: 21, y: TOP + LONG + 20 }, "none"),
      ...ends.map((value) => label(value)),
      ...(peak === null ? [] : [svg("line", { class: "peak", x1: 0, x2: 20, y1: place(peak), y2: place(peak) }), label(peak, "strong")]),
      svg("text", { class: "muted", x: 4, y: 210 }, `${Math.round(opacity * 100)} %`),
      svg("text", { class: "muted", x: 4, y: 228 }, "[ and ]")));
}
