// The one transform between image pixels and CSS pixels of the viewer: pure functions, no canvas.
// screen = image * scale + (x, y).

export const MAX_SCALE = 16; // one image pixel as a 16 px square: enough to judge a single pixel
const KEEP_VISIBLE_PX = 96; // this much of the picture always stays in sight

export function fitted(picture, view) {
  const scale = Math.min(view.width / picture.width, view.height / picture.height);
  return {
    scale,
    x: (view.width - picture.width * scale) / 2,
    y: (view.height - picture.height * scale) / 2,
  };
}

export function zoomedAt(transform, factor, point, smallest) {
  const scale = Math.min(MAX_SCALE, Math.max(smallest, transform.scale * factor));
  const ratio = scale / transform.scale;
  return {
    scale,
    x: point.x - (point.x - transform.x) * ratio,
    y: point.y - (point.y - transform.y) * ratio,
  };
}

export function panned(transform, dx, dy) {
  return { scale: transform.scale, x: transform.x + dx, y: transform.y + dy };
}

export function framed(box, view, { largest = 2, share = 0.4 } = {}) {
  // Puts a box (x0, y0, x1, y1 in image pixels) in the middle, filling `share` of the view.
  const [x0, y0, x1, y1] = box;
  const wide = Math.max(1, x1 - x0);
  const high = Math.max(1, y1 - y0);
  const scale = Math.min(largest, (view.width * share) / wide, (view.height * share) / high);
  return {
    scale,
    x: view.width / 2 - ((x0 + x1) / 2) * scale,
    y: view.height / 2 - ((y0 + y1) / 2) * scale,
  };
}

export function kept(transform, picture, view) {
  // A picture smaller than the view is centred; a larger one may leave it only in part.
  const along = (offset, length, room) => {
    if (length <= room) return (room - length) / 2;
    const keep = Math.min(KEEP_VISIBLE_PX, room / 2);
    return Math.min(room - keep, Math.max(keep - length, offset));
  };
  return {
    scale: transform.scale,
    x: along(transform.x, picture.width * transform.scale, view.width),
    y: along(transform.y, picture.height * transform.scale, view.height),
  };
}

export function toScreen(transform, [x, y]) {
  return [x * transform.scale + transform.x, y * transform.scale + transform.y];
}
