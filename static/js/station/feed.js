// The parts that come next: leased, loaded and decoded before they are needed.

import { SignedOut } from "./api.js";
import { Part } from "./parts.js";

export const AHEAD = 3;
const POLL_MS = 4_000;
const RENEW_MS = 20_000;
const IDLE_MS = 10 * 60_000; // nobody there: let the leases lapse, so that others get the parts

export class Feed {
  constructor(api, { filters, firstItem, fittedPixels, alsoHeld, onArrival, onCounts, onLost, onState }) {
    this.api = api;
    this.filters = filters ?? {};
    this.firstItem = firstItem ?? null;
    Object.assign(this, { fittedPixels, alsoHeld, onArrival, onCounts, onLost, onState });
    this.ready = [];
    this.open = null;
    this.waiting = null;
    this.askedAt = 0;
    this.asking = false;
    this.lastInput = Date.now();
    for (const name of ["keydown", "pointerdown"]) addEventListener(name, () => this.notePresence(), true);
    setInterval(() => this.ask(), POLL_MS);
    setInterval(() => this.renew(), RENEW_MS);
  }

  notePresence() {
    const wasAway = Date.now() - this.lastInput > IDLE_MS;
    this.lastInput = Date.now();
    if (wasAway) this.renew();
  }

  get isAway() {
    return Date.now() - this.lastInput > IDLE_MS;
  }

  heldIds() {
    const ids = [...this.ready.map((part) => part.id), ...this.alsoHeld()];
    if (this.open) ids.push(this.open.id);
    return [...new Set(ids)];
  }

  async ask({ countsToo = false } = {}) {
    const missing = Math.max(0, AHEAD + (this.open ? 0 : 1) - this.ready.length);
    if (this.asking || this.isAway || (missing === 0 && !countsToo)) return;
    this.asking = true;
    let isSettled = this.alsoHeld().length === 0;
    try {
      const body = { product: null, line: null, station: null, ...this.filters, count: missing, holding: this.heldIds() };
      if (this.firstItem !== null) body.item = this.firstItem;
      const data = await this.api.next(body);
      this.firstItem = null;
      this.askedAt = Date.now();
      const held = new Set(this.heldIds());
      for (const item of data.items) {
        if (held.has(item.id)) continue;
        const part = new Part(item, this.fittedPixels);
        part.load().catch(() => {});
        this.ready.push(part);
      }
      this.onState({ reached: true });
      // With an answer on its way nobody knows whether the count holds it; its own answer tells.
      isSettled &&= this.alsoHeld().length === 0;
      if (isSettled || this.waiting === null) this.tellCounts(data.waiting, data.oldest_waited_s);
      this.onArrival();
    } catch (error) {
      this.onState({ reached: false, signedOut: error instanceof SignedOut, message: error.message });
    } finally {
      this.asking = false;
    }
  }

  tellCounts(waiting, oldest) {
    this.waiting = waiting;
    this.onCounts(waiting, oldest);
  }

  countAnswered(waiting) {
    // The server counts all lines; within filters one less is the better number.
    const isFiltered = Object.values(this.filters).some((value) => value !== null);
    this.tellCounts(isFiltered && this.waiting !== null ? Math.max(0, this.waiting - 1) : waiting);
  }

  take() {
    this.open = this.ready.shift() ?? null;
    setTimeout(() => this.ask());
    return this.open;
  }

  putBack(part) {
    this.ready = [part, ...this.ready.filter((other) => other.id !== part.id)];
  }

  drop(itemId) {
    this.ready = this.ready.filter((part) => part.id !== itemId);
  }

  async renew() {
    if (this.isAway) return;
    this.ask({ countsToo: true });
    const parts = [this.open, ...this.ready].filter(Boolean);
    for (const part of parts) {
      try {
        const data = await this.api.renew(part.id);
        part.leaseUntil = Date.parse(data.lease_until) || part.leaseUntil;
      } catch (error) {
        if (error.status === undefined) return; // not reached: the next round tries again
        if (part === this.open) this.onLost(part, error);
        else this.drop(part.id);
      }
    }
  }

  releaseAll() {
    const answered = new Set(this.alsoHeld());
    for (const part of [this.open, ...this.ready]) {
      if (part && !answered.has(part.id)) this.api.release(part.id).catch(() => {});
    }
  }
}
