// The panel on the right: closed ("Look first") with the facts of the part and what the model said
// of the part before; open with score, place, nearest normal and reasons.

import { hottest, regionSize } from "../viewer/heat.js";
import { clockSeconds, duration, el, sentence, svg, verdictMark } from "./dom.js";

const RULER = { height: 76, left: 8, axis: 50 };
const LABEL_WIDE = 88;

function facts(part) {
  const { item } = part;
  const rows = [
    ["Serial", item.serial], ["Lot", item.lot || "none"], ["Station", item.station || "none"],
    ["Seen", clockSeconds(item.seen_at)], ["Waited", duration(item.waited_s)], ["Priority", item.priority],
    ["Views", item.images.map((image) => image.view).join("; ")],
  ];
  return [el("h3", {}, "This part"), el("dl", { class: "pairs" }, ...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value ?? ""))))];
}

function answerBefore(part) {
  if (!part.previous) return null;
  return el("div", { class: "notice" }, el("p", {}, "Taken back. Your answer was ", verdictMark(part.previous.verdict, part.previous.defect_types), ". Answer again."));
}

function partBefore(before) {
  if (!before?.reveal) return [];
  const worst = mostSurprising(before.reveal);
  return [el("div", { class: "before" }, el("h3", {}, "The part before"),
    el("p", {}, verdictMark(before.verdict, before.types), el("span", { class: "muted" }, `, ${before.serial}`)),
    worst ? el("p", { class: "note" }, `${sentence(worst.surprise_words)} ${outcomeWords(before.reveal)}`) : null)];
}

function outcomeWords(reveal) {
  return { review: "It was flagged for review.", reject: "It was stopped at once.", pass: "It had passed: an audit." }[reveal.outcome] ?? "The machine gave no verdict.";
}

export function mostSurprising(reveal) {
  return [...reveal.images].sort((one, other) => one.surprise - other.surprise)[0] ?? null;
}

function decimals(value) {
  return value === null || value === undefined ? "" : value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

function spread(places, rightEnd) {
  // Middles of at most two labels under their marks: inside the ruler, and clear of each other.
  const inside = (place) => Math.min(rightEnd - LABEL_WIDE / 2, Math.max(RULER.left + LABEL_WIDE / 2, place));
  if (places.length < 2) return places.map(inside);
  const push = Math.max(0, LABEL_WIDE - (places[1] - places[0])) / 2;
  const right = inside(places[1] + push);
  return [inside(Math.min(places[0] - push, right - LABEL_WIDE)), right];
}

function ruler(shown, reveal, width) {
  const rightEnd = width - RULER.left;
  const marks = [["review", reveal.review_from], ["reject", reveal.reject_from]].filter(([, value]) => value !== null && value !== undefined);
  const values = [shown.score, ...marks.map(([, value]) => value)];
  const top = Math.max(...values) * 1.15;
  const bottom = Math.min(0.6 * Math.min(...values), shown.score * 0.9);
  const at = (value) => RULER.left + ((value - bottom) / (top - bottom || 1)) * (rightEnd - RULER.left);
  const score = at(shown.score);
  const labels = spread(marks.map(([, value]) => at(value)), rightEnd);
  return svg("svg", { class: "ruler", width, height: RULER.height, role: "img", "aria-label": `Score ${decimals(shown.score)}` },
    svg("line", { class: "axis", x1: RULER.left, x2: rightEnd, y1: RULER.axis, y2: RULER.axis }),
    ...marks.flatMap(([name, value], index) => [
      svg("line", { class: "limit", x1: at(value), x2: at(value), y1: 22, y2: RULER.axis + 4 }),
      svg("text", { class: "muted", x: labels[index], y: RULER.axis + 20, "text-anchor": "middle" }, `${name} ${decimals(value)}`),
    ]),
    svg("path", { class: "score", d: `M${score - 6} 24h12l-6 10z` }),
    svg("line", { class: "score-line", x1: score, x2: score, y1: 30, y2: RULER.axis + 6 }),
    svg("text", { class: "score-number", x: Math.min(rightEnd - 18, Math.max(RULER.left + 18, score)), y: 17, "text-anchor": "middle" }, decimals(shown.score)));
}

function place(part, view, shown) {
  const regions = hottest(shown.regions ?? []);
  if (regions.length === 0) return el("div", {}, el("h3", {}, "Place"), el("p", {}, "No region lies above the pixel threshold in this view."));
  const first = regions[0];
  return el("div", {}, el("h3", {}, "Place"),
    el("p", {}, el("b", {}, `${regions.length === 1 ? "One region" : `${regions.length} regions; the hottest`}, ${regionSize(first, view.image.mm_per_pixel)}`),
      `. Peak ${decimals(first.peak)}, threshold ${decimals(shown.pixel_threshold)}.`));
}

export class Says {
  constructor({ title, note, body }) {
    Object.assign(this, { title, note, body });
  }

  close(part, before, problem = "") {
    this.title.textContent = "What the model says";
    this.note.textContent = "closed";
    this.body.replaceChildren(
      ...[answerBefore(part),
        el("div", { class: "look-first" }, el("p", { class: "lead" }, "Look first."),
          el("p", {}, "Score, heat and reasons open while you hold ", el("kbd", {}, "Space"), ", or after your answer."),
          el("p", { class: "muted" }, problem || "Whether they were open before the answer is kept with it.")),
        el("div", {}, ...facts(part)), ...partBefore(before)].filter(Boolean),
    );
  }

  wait(part) {
    this.note.textContent = "opening";
    if (part) this.body.querySelector(".lead")?.replaceChildren("One moment.");
  }

  open(part, view) {
    const { reveal } = part;
    const shown = part.shownOf(view) ?? mostSurprising(reveal);
    this.title.textContent = reveal.outcome === "review" || reveal.outcome === "reject" ? "Why flagged" : "What the model says";
    if (!shown) {
      this.note.textContent = "no score";
      this.body.replaceChildren(el("div", {}, el("p", { class: "lead" }, "This part has no score."), ...reveal.reasons.map((reason) => el("p", {}, reason))), el("div", {}, ...facts(part)));
      return;
    }
    this.note.textContent = `model ${shown.model_version}, policy ${reveal.policy_version}`;
    const other = mostSurprising(reveal);
    const otherView = part.views.find(({ image }) => image.id === other?.image_id);
    this.body.replaceChildren(
      ...[answerBefore(part),
        el("div", {}, el("p", { class: "lead" }, shown.surprise_words), ruler(shown, reveal, Math.max(200, this.body.clientWidth - 32)),
          otherView && otherView !== view ? el("p", { class: "note" }, `The view ${otherView.image.view} looks odder: ${sentence(other.surprise_words)}`) : null),
        place(part, view, shown),
        shown.explanation ? el("div", {}, el("h3", {}, "Nearest normal patch"), el("p", {}, shown.explanation.words)) : null,
        reveal.reasons.length ? el("div", {}, el("h3", {}, "Reasons"), ...reveal.reasons.map((reason) => el("p", {}, reason))) : null,
      ].filter(Boolean),
    );
  }

  clear() {
    this.title.textContent = "What the model says";
    this.note.textContent = "";
    this.body.replaceChildren();
  }
}
