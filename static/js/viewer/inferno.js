// The heat colours: dark violet to pale yellow, even in lightness, readable without colour vision.
// Eleven anchors of the inferno scale, joined by straight lines in sRGB.

const ANCHORS = [
  [0, 0, 4], [22, 11, 57], [66, 10, 104], [106, 23, 110], [147, 38, 103], [188, 55, 84],
  [221, 81, 58], [243, 120, 25], [252, 165, 10], [246, 215, 70], [252, 255, 164],
];

export function inferno(share) {
  const place = Math.min(1, Math.max(0, share)) * (ANCHORS.length - 1);
  const index = Math.min(ANCHORS.length - 2, Math.floor(place));
  const rest = place - index;
  return ANCHORS[index].map((low, channel) => Math.round(low + (ANCHORS[index + 1][channel] - low) * rest));
}

export function infernoCss(share) {
  return `rgb(${inferno(share).join(" ")})`;
}
