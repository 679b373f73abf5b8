// A part on its way through the station: its record, decoded pictures, and what was revealed.

import { loadHeat } from "../viewer/heat.js";

const REFERENCES_KEPT = 6; // one product has a few views; decoded once, not once a part
const references = new Map(); // address -> promise of a bitmap or null

export async function fetchBitmap(url) {
  const answer = await fetch(url, { credentials: "same-origin" }).catch(() => null);
  if (!answer) throw new Error("The picture did not load: the server is not reached.");
  if (!answer.ok) throw new Error(`The picture did not load (${answer.status}).`);
  return createImageBitmap(await answer.blob());
}

function fetchReference(url) {
  if (!url) return Promise.resolve(null);
  if (!references.has(url)) {
    if (references.size >= REFERENCES_KEPT) references.delete(references.keys().next().value);
    references.set(url, fetchBitmap(url).catch(() => null));
  }
  return references.get(url);
}

export class Part {
  constructor(item, fittedPixels = null) {
    this.fittedPixels = fittedPixels; // of an image: the size at which the viewer shows the whole of it
    this.views = item.images.map((image) => ({ image, bitmap: null, small: null, original: null, reference: null, heat: null }));
    this.active = 0;
    this.reveal = null;
    this.looking = null; // the promise of a look that is under way
    this.isReady = false;
    this.problem = "";
    this.update(item);
  }

  update(item) {
    this.item = item;
    this.id = item.id;
    this.previous = item.previous_decision ?? null;
    this.leaseUntil = Date.parse(item.lease_until) || 0;
  }

  get thumbUrl() {
    return this.views[0]?.image.thumb_url ?? null;
  }

  get view() {
    return this.views[this.active];
  }

  load() {
    // The first view decides whether the part can be shown; the others follow behind it.
    const first = this.views.length ? this.loadView(0) : Promise.reject(new Error("This part has no picture."));
    this.loading ??= first.then(
      () => {
        this.isReady = true;
        this.problem = "";
        for (let index = 1; index < this.views.length; index++) this.loadView(index).catch(() => {});
      },
      (error) => {
        this.problem = error.message;
        this.loading = null;
        throw error;
      },
    );
    return this.loading;
  }

  async loadView(index) {
    const view = this.views[index];
    view.loading ??= (async () => {
      const [bitmap, reference] = await Promise.all([
        fetchBitmap(view.image.preview_url),
        fetchReference(view.image.reference_url),
      ]);
      const size = this.fittedPixels?.(view.image);
      const small = size?.width && size.width < bitmap.width
        ? await createImageBitmap(bitmap, { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: "high" })
        : null;
      Object.assign(view, { bitmap, reference, small });
    })().catch((error) => {
      view.loading = null;
      throw error;
    });
    return view.loading;
  }

  async loadOriginal(view) {
    view.originalLoading ??= fetchBitmap(view.image.original_url);
    view.original = await view.originalLoading;
  }

  pictureOf(view) {
    return {
      width: view.image.width,
      height: view.image.height,
      mmPerPixel: view.image.mm_per_pixel,
      bitmap: view.bitmap,
      small: view.small,
      original: view.original,
      reference: view.reference,
    };
  }

  shownOf(view) {
    return this.reveal?.images.find((shown) => shown.image_id === view.image.id) ?? null;
  }

  async loadHeatOf(view) {
    const shown = this.shownOf(view);
    if (!shown) return null;
    view.heatLoading ??= loadHeat(shown).then((heat) => {
      view.heat = heat;
      return heat;
    });
    return view.heatLoading;
  }

  dispose() {
    // Decoded pictures are large; do not wait for the collector. References are shared and stay.
    for (const view of this.views) {
      view.bitmap?.close();
      view.small?.close();
      view.original?.close();
      Object.assign(view, { bitmap: null, small: null, original: null, heat: null, loading: null, originalLoading: null, heatLoading: null });
    }
    this.isReady = false;
    this.loading = null;
  }
}
