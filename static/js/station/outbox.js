// What the person said and the server has not confirmed yet. Each entry lies in localStorage under
// its own name until it is confirmed or refused, is sent in the order it was given, and carries an
// idempotency key, so that sending it twice counts once.

import { ApiError, SignedOut } from "./api.js";

const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

// entry: {key, kind: "decision" | "undo" | "defer", itemId, serial, thumbUrl, at, body,
//         undoes (key of the decision), decisionId}
export class Outbox {
  constructor(api, person, { onConfirmed, onRefused, onState }) {
    this.api = api;
    this.prefix = `secondlook.answer.${person ?? ""}.`;
    Object.assign(this, { onConfirmed, onRefused, onState });
    this.entries = this.readStored();
    this.decisionIds = new Map(); // key of a confirmed decision -> its id, for a later undo
    this.sending = null;
    this.failures = 0;
    this.timer = 0;
    addEventListener("online", () => this.retryNow());
  }

  readStored() {
    const entries = [];
    try {
      for (let index = 0; index < localStorage.length; index++) {
        const name = localStorage.key(index);
        if (name.startsWith(this.prefix)) entries.push(JSON.parse(localStorage.getItem(name)));
      }
    } catch {
      // Storage closed or unreadable: the entries of this page still live in memory.
    }
    return entries.sort((one, other) => one.at - other.at);
  }

  store(entry) {
    try {
      localStorage.setItem(this.prefix + entry.key, JSON.stringify(entry));
    } catch {
      // Full or closed: kept in memory, lost only with the page.
    }
  }

  forget(entry) {
    this.entries = this.entries.filter((other) => other.key !== entry.key);
    try {
      localStorage.removeItem(this.prefix + entry.key);
    } catch {
      // Nothing was stored then.
    }
  }

  add(entry) {
    this.entries.push(entry);
    this.store(entry);
    // Sent after the next part is painted: the person waits for the picture, not for the wire.
    setTimeout(() => this.send());
  }

  cancel(key) {
    // Takes an entry back that never left this page. False once it may have arrived.
    const entry = this.entries.find((other) => other.key === key);
    if (!entry || entry.tried || this.sending === entry) return false;
    this.forget(entry);
    return true;
  }

  itemIds() {
    return this.entries.filter((entry) => entry.kind !== "undo").map((entry) => entry.itemId);
  }

  retryNow() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.send();
  }

  async send() {
    if (this.sending || this.timer || this.entries.length === 0) return;
    const entry = this.entries[0];
    this.sending = entry;
    entry.tried = true;
    this.store(entry);
    try {
      const data = await this.post(entry);
      this.failures = 0;
      this.forget(entry);
      if (entry.kind === "decision") this.tellUndo(entry.key, data.decision.id);
      this.onConfirmed(entry, data);
    } catch (error) {
      if (error instanceof ApiError) {
        this.forget(entry);
        this.onRefused(entry, error);
      } else {
        const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
        this.failures += 1;
        this.timer = setTimeout(() => this.retryNow(), wait);
        this.onState({ waiting: this.entries.length, signedOut: error instanceof SignedOut });
      }
    } finally {
      this.sending = null;
    }
    if (!this.timer) {
      this.onState({ waiting: 0, signedOut: false });
      this.send();
    }
  }

  tellUndo(key, decisionId) {
    this.decisionIds.set(key, decisionId);
    for (const entry of this.entries) {
      if (entry.undoes !== key) continue;
      entry.decisionId = decisionId;
      this.store(entry); // so that it finds its decision even after a reload
    }
  }

  post(entry) {
    if (entry.kind === "defer") return this.api.defer(entry.itemId);
    if (entry.kind === "decision") return this.api.decide(entry.itemId, entry.body);
    const decisionId = entry.decisionId ?? this.decisionIds.get(entry.undoes);
    if (decisionId === undefined) {
      throw new ApiError(409, { code: "not_saved", message: "That answer was not saved, so there is nothing to undo." });
    }
    return this.api.undo(decisionId, { key: entry.key });
  }
}
