// Wheel, drag, pinch and double click on the viewer's canvas.

const WHEEL_STRENGTH = 0.0016; // one notch (100 units) zooms by about 1.17

export function followPointers(canvas, viewer) {
  const pointers = new Map();
  const placeOf = (event) => {
    const frame = canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };
  const spread = () => {
    const [one, other] = [...pointers.values()];
    return {
      apart: Math.hypot(one.x - other.x, one.y - other.y) || 1,
      x: (one.x + other.x) / 2,
      y: (one.y + other.y) / 2,
    };
  };

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
      viewer.zoomBy(Math.exp(-event.deltaY * lines * WHEEL_STRENGTH), placeOf(event));
    },
    { passive: false },
  );

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(event));
    canvas.classList.toggle("dragging", !viewer.isFitted);
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = placeOf(event);
    if (pointers.size === 1) {
      viewer.panBy(now.x - before.x, now.y - before.y);
      pointers.set(event.pointerId, now);
    } else if (pointers.size === 2) {
      const old = spread();
      pointers.set(event.pointerId, now);
      const fresh = spread();
      viewer.zoomBy(fresh.apart / old.apart, fresh);
      viewer.panBy(fresh.x - old.x, fresh.y - old.y);
    }
  });

  const end = (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) canvas.classList.remove("dragging");
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);

  canvas.addEventListener("dblclick", (event) => {
    if (viewer.isFitted) viewer.zoomTo(1 / viewer.ratio, placeOf(event));
    else viewer.fit();
  });
}
