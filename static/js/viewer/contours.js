// Contours of a grey map at one level, as lines that run through (marching squares).

// For each of the 16 patterns of a cell's corners (1 top left, 2 top right, 4 bottom right,
// 8 bottom left): pairs of sides that a line joins. Sides: 0 top, 1 right, 2 bottom, 3 left.
const JOINS = [
  [], [3, 0], [0, 1], [3, 1], [1, 2], [3, 0, 1, 2], [0, 2], [3, 2],
  [2, 3], [2, 0], [0, 1, 2, 3], [2, 1], [1, 3], [1, 0], [0, 3], [],
];

export function traceContours(grid, width, height, level) {
  // Returns lines, each a flat array of x, y from 0 to 1 over the whole map.
  const points = new Map(); // side of a cell -> [x, y]
  const neighbours = new Map(); // side of a cell -> the one or two sides its lines lead to
  const cross = (low, high) => (level - low) / (high - low || 1);

  const sidePoint = (x, y, side) => {
    const at = y * width + x;
    // Two cells share a side: name it after its first corner, odd for upright sides.
    const id = side === 0 ? 2 * at : side === 2 ? 2 * (at + width) : side === 3 ? 2 * at + 1 : 2 * (at + 1) + 1;
    if (!points.has(id)) {
      const point =
        side === 0 ? [x + cross(grid[at], grid[at + 1]), y]
        : side === 2 ? [x + cross(grid[at + width], grid[at + width + 1]), y + 1]
        : side === 3 ? [x, y + cross(grid[at], grid[at + width])]
        : [x + 1, y + cross(grid[at + 1], grid[at + width + 1])];
      points.set(id, [(point[0] + 0.5) / width, (point[1] + 0.5) / height]);
      neighbours.set(id, []);
    }
    return id;
  };

  for (let y = 0; y < height - 1; y++) {
    for (let x = 0; x < width - 1; x++) {
      const at = y * width + x;
      const pattern =
        (grid[at] >= level ? 1 : 0) | (grid[at + 1] >= level ? 2 : 0) |
        (grid[at + width + 1] >= level ? 4 : 0) | (grid[at + width] >= level ? 8 : 0);
      if (pattern === 0 || pattern === 15) continue;
      const joins = JOINS[pattern];
      for (let index = 0; index < joins.length; index += 2) {
        const from = sidePoint(x, y, joins[index]);
        const to = sidePoint(x, y, joins[index + 1]);
        neighbours.get(from).push(to);
        neighbours.get(to).push(from);
      }
    }
  }
  return joinLines(points, neighbours);
}

function joinLines(points, neighbours) {
  const done = new Set();
  const lines = [];
  const walk = (start) => {
    const line = [];
    let at = start;
    while (at !== undefined && !done.has(at)) {
      done.add(at);
      line.push(...points.get(at));
      at = neighbours.get(at).find((next) => !done.has(next));
    }
    const closes = line.length > 4 && neighbours.get(start).length === 2;
    if (closes) line.push(...points.get(start));
    lines.push(line);
  };
  // Open lines (cut by the edge of the map) first, from their ends; what is left is closed.
  for (const [id, next] of neighbours) if (next.length === 1 && !done.has(id)) walk(id);
  for (const id of neighbours.keys()) if (!done.has(id)) walk(id);
  return lines;
}

export function strokeContours(context, lines, { left, top, width, height, dashed = false }) {
  // White in a near-black casing: holds on bright metal and on the dark fixture alike.
  context.save();
  context.beginPath();
  for (const line of lines) {
    context.moveTo(left + line[0] * width, top + line[1] * height);
    for (let index = 2; index < line.length; index += 2) {
      context.lineTo(left + line[index] * width, top + line[index + 1] * height);
    }
  }
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = "rgb(12 14 17)";
  context.stroke();
  if (dashed) context.setLineDash([4, 3]);
  context.lineWidth = 1.5;
  context.strokeStyle = "#FFFFFF";
  context.stroke();
  context.restore();
}
