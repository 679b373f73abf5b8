// The station: which part is open, what is shown of it, and what a key does.
// Blind first: nothing of the model is asked for before the person asks or answers, except on
// products that show the heat at once.

import { Api, newKey } from "./api.js";
import { Banners } from "./banners.js";
import { clockTime, sentence } from "./dom.js";
import { AHEAD, Feed } from "./feed.js";
import { fillHelp, labelButtons, listenToKeys } from "./keys.js";
import { Look } from "./look.js";
import { Outbox } from "./outbox.js";
import { Part } from "./parts.js";
import { Screen } from "./screen.js";
import { Strip } from "./strip.js";
import { Viewer } from "../viewer/viewer.js";

// Without its picture a part cannot be called good, and nothing of it can be looked at.
const WITHOUT_PICTURE = new Set(["defect", "unsure", "reshoot", "defer", "type"]);
const GUARD_MS = 250; // a key meant for the part before must not answer the next one
const PAN_PX = 64;
const ZOOM_STEP = 1.4;

export class Station {
  constructor(root, config) {
    this.config = config;
    this.api = new Api(config.api?.base ?? "/api/v1/review/");
    this.screen = new Screen(root, { onType: (type, time) => this.decide("defect", [type], time), onSwap: (index) => this.swapView(index) });
    this.banners = new Banners(this.screen.node("banners"));
    this.viewer = new Viewer(this.screen.node("picture"), {
      onChange: () => this.screen.showZoom(this.viewer),
      onOriginalNeeded: () => this.loadOriginal(),
    });
    this.look = new Look(this.api, {
      viewer: this.viewer,
      screen: this.screen,
      current: () => this.part,
      before: () => this.before,
      onFailed: (part, error) => this.lookFailed(part, error),
    });
    this.strip = new Strip(this.screen.node("strip"), this.screen.node("next"), { onUndo: () => this.undo() });
    this.outbox = new Outbox(this.api, config.person, {
      onConfirmed: (entry, data) => this.confirmed(entry, data),
      onRefused: (entry, error) => this.refused(entry, error),
      onState: (state) => this.tellOutbox(state),
    });
    this.feed = new Feed(this.api, {
      filters: config.filters,
      firstItem: config.item,
      fittedPixels: (image) => this.viewer.fittedPixels(image),
      alsoHeld: () => this.outbox.itemIds(),
      onArrival: () => (this.part ? this.tellNext() : this.openNext()),
      onCounts: (waiting, oldest) => this.screen.showCounts(waiting, oldest),
      onLost: (part, error) => this.leaseLost(part, error),
      onState: (state) => this.tellFeed(state),
    });
    this.part = null;
    this.before = null; // the part just answered, kept decoded for undo
    this.shownAt = Infinity;
    this.pace = { answered: 0, seconds: 0 };
  }

  start() {
    labelButtons(this.screen.root);
    fillHelp(this.screen.node("help"));
    listenToKeys((entry, event) => this.act(entry, event));
    this.screen.followButtons((entry, event) => this.act(entry, event));
    this.screen.showEmpty({ loading: true });
    this.api.recent().then((data) => this.strip.fill(data.decisions), () => this.strip.render());
    this.feed.ask();
    this.outbox.send();
    setInterval(() => this.part || this.screen.showEmpty(this.emptyState()), 1_000);
    addEventListener("pagehide", () => this.feed.releaseAll());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
  }

  // Keys and buttons

  act(entry, { phase, key, time }) {
    const { action } = entry;
    if (action === "heat") return phase === "down" ? this.isAnswerable() && this.look.hold() : this.look.letGo();
    if (action === "blink") return this.viewer.setBlinking(phase === "down");
    if (phase !== "down") return;
    // Undo also works on the empty screen; everything else about a part needs one in sight.
    if (entry.part && !(action === "undo" && !this.part) && !this.isAnswerable(action)) return;
    const zoom = { in: ZOOM_STEP, out: 1 / ZOOM_STEP }[action];
    if (zoom) return this.viewer.zoomBy(zoom);
    const pan = { left: [1, 0], right: [-1, 0], up: [0, 1], down: [0, -1] }[action];
    if (pan) return this.viewer.panBy(pan[0] * PAN_PX, pan[1] * PAN_PX);
    switch (action) {
      case "defect": case "good": case "unsure": case "reshoot": return this.decide(action, [], time);
      case "type": return this.decideType(key, time);
      case "defer": return this.defer(time);
      case "undo": return this.undo(time);
      case "latch": return this.look.toggleLatch();
      case "hottest": return this.look.goToHottest((index) => this.swapView(index));
      case "fainter": case "stronger": return this.changeOpacity(action === "stronger" ? 1 : -1);
      case "contrast": return this.toggleContrast();
      case "fit": this.look.endOutline(); return this.viewer.fit();
      case "view": return this.part && this.swapView((this.part.active + 1) % this.part.views.length);
      case "help": return this.screen.openHelp();
    }
  }

  isAnswerable(action) {
    if (!this.part || performance.now() - this.shownAt < GUARD_MS) return false;
    return this.part.isReady || (this.part.problem !== "" && WITHOUT_PICTURE.has(action));
  }

  changeOpacity(direction) {
    this.viewer.changeOpacity(direction);
    this.look.refresh();
  }

  toggleContrast() {
    this.viewer.setContrast(!this.viewer.contrast);
    this.screen.press("contrast", this.viewer.contrast);
  }

  // Opening a part

  openNext(time) {
    const part = this.feed.take();
    this.open(part, time);
  }

  open(part, time = null) {
    this.part = part;
    this.feed.open = part;
    this.shownAt = Infinity;
    this.look.reset();
    if (!part) {
      this.viewer.show(null);
      this.screen.showEmpty(this.emptyState());
      this.tellNext();
      return;
    }
    if (part.isReady) {
      this.show(part, time);
    } else {
      this.viewer.show(null);
      this.screen.showPart(part, this.before);
      this.screen.showSide(part, this.viewer, false);
      this.screen.showMessage("Loading the picture.");
      part.load().then(
        () => part === this.part && this.show(part, time),
        (error) => part === this.part && this.pictureFailed(part, error),
      );
    }
  }

  show(part, time) {
    this.viewer.show(part.pictureOf(part.view));
    this.screen.showMessage("");
    this.screen.showPart(part, this.before);
    this.screen.showSide(part, this.viewer, false);
    this.shownAt = performance.now();
    if (time !== null) measurePaint(time);
    afterPaint(() => this.tellNext());
    if (part.item.overlay_first || part.showsHeat) this.look.latch();
  }

  pictureFailed(part, error) {
    this.shownAt = performance.now();
    this.screen.showMessage(`${sentence(error.message)} Try again, or answer with defect, unsure, reshoot or defer.`, () => this.open(part));
  }

  swapView(index) {
    const { part } = this;
    if (!part || index === part.active) return;
    const view = part.views[index];
    return part.loadView(index).then(() => {
      if (part !== this.part) return;
      part.active = index;
      this.viewer.show(part.pictureOf(view));
      this.screen.showWhere(part);
      this.look.refresh();
    }, (error) => this.banners.show("picture", { words: `${view.image.view}: ${sentence(error.message)}` }));
  }

  async loadOriginal() {
    const { part } = this;
    const { view } = part;
    try {
      await part.loadOriginal(view);
      if (part === this.part && view === part.view && this.viewer.picture) {
        this.viewer.picture.original = view.original;
        this.viewer.requestDraw();
        this.screen.showZoom(this.viewer);
      }
    } catch {
      this.banners.show("original", { words: "The original file cannot be shown here; the preview is enlarged instead." });
    }
  }

  // Answers

  decideType(key, time) {
    const type = this.part.item.defect_types.find((other) => String(other.key) === key);
    if (type) this.decide("defect", [type], time);
  }

  decide(verdict, types, time) {
    if (!this.isAnswerable(verdict)) return;
    const { part } = this;
    const seconds = (performance.now() - this.shownAt) / 1000;
    const key = newKey();
    const body = { verdict, defect_types: types.map((type) => type.id), note: "", seconds: Math.round(seconds * 100) / 100, key };
    const { id: itemId, serial } = part.item;
    const entry = { key, kind: "decision", itemId, serial, thumbUrl: part.thumbUrl, at: Date.now(), body };
    this.keepForUndo(part, { key, verdict, types: types.map((type) => type.name), serial });
    this.openNext(time);
    this.outbox.add(entry);
    this.pace.answered += 1;
    this.pace.seconds += seconds;
    afterPaint(() => {
      this.strip.add({ key, itemId, serial, thumbUrl: entry.thumbUrl, verdict, types: types.map((type) => type.name), at: entry.at });
      this.screen.showPace(this.pace);
    });
  }

  keepForUndo(part, answer) {
    if (this.before?.part !== part) this.before?.part?.dispose();
    part.answer = answer;
    this.before = { part, ...answer, reveal: null };
  }

  defer(time) {
    const { part } = this;
    const entry = { key: newKey(), kind: "defer", itemId: part.id, serial: part.item.serial, thumbUrl: part.thumbUrl, at: Date.now() };
    this.openNext(time);
    this.outbox.add(entry);
    part.dispose();
  }

  undo(time = null) {
    const entry = this.strip.newest();
    if (!entry) return;
    this.strip.remove(entry);
    const previous = { verdict: entry.verdict, defect_types: entry.types, id: entry.decisionId ?? null };
    const stillHere = this.outbox.cancel(entry.key);
    if (!stillHere) {
      this.outbox.add({
        key: newKey(), kind: "undo", itemId: entry.itemId, serial: entry.serial, thumbUrl: entry.thumbUrl, at: Date.now(),
        undoes: entry.key, decisionId: entry.decisionId ?? undefined,
      });
    }
    const kept = this.before?.part?.id === entry.itemId ? this.before.part : null;
    if (!kept) return; // the server's answer brings it
    this.before = null;
    kept.previous = previous;
    this.comeBack(kept, time);
  }

  comeBack(part, time = null) {
    if (this.part && this.part !== part) this.feed.putBack(this.part);
    this.open(part, time);
  }

  confirmed(entry, data) {
    if (entry.kind === "decision") {
      this.strip.change(entry.key, { state: "saved", decisionId: data.decision.id });
      this.feed.countAnswered(data.waiting);
      if (this.before?.key === entry.key) {
        this.before.reveal = data.reveal;
        this.look.refreshClosed();
      }
      this.tellNext();
    } else if (entry.kind === "undo") {
      if (this.part?.id === data.item.id) this.part.update(data.item);
      else this.comeBack(new Part(data.item, (image) => this.viewer.fittedPixels(image)));
    }
  }

  refused(entry, error) {
    // The other person's answer stands, or something is wrong with ours: say which, and bring the
    // part back unless somebody else has it or has answered it.
    const { by, at } = error.extra;
    const taken = error.status === 409 && Boolean(by || error.extra.withdrawn);
    const decided = taken && by && /answered|decided/.test(error.message);
    const reason = decided ? `decided by ${by}${at ? ` at ${clockTime(at)}` : ""}.` : sentence(error.message);
    this.strip.change(entry.key, { state: "refused", undoable: false });
    const said = { decision: "Your answer was not counted", undo: "The answer was not taken back", defer: "The part was not deferred" }[entry.kind];
    this.banners.show(`refused-${entry.key}`, { kind: "red", words: `${entry.serial}: ${reason} ${said}.`, thumbUrl: entry.thumbUrl });
    if (entry.kind === "undo" && this.part?.id === entry.itemId) this.openNext();
    if (entry.kind !== "decision" || taken || this.part?.id === entry.itemId) return;
    const kept = this.before?.part?.id === entry.itemId ? this.before.part : null;
    if (kept) {
      this.before = null;
      this.comeBack(kept);
    }
  }

  leaseLost(part, error) {
    this.banners.show("lost", { kind: "amber", words: `${part.item.serial}: ${sentence(error.message)} The next part is shown.`, thumbUrl: part.thumbUrl });
    if (part === this.part) this.openNext();
    part.dispose();
  }

  lookFailed(part, error) {
    if (error.status !== undefined) this.leaseLost(part, error);
    else this.banners.show("look", { words: "Heat and reasons could not be opened: the server was not reached." });
  }

  // What the page says about the wire and the queue

  tellOutbox({ waiting, signedOut }) {
    if (waiting === 0) return this.banners.hide("outbox");
    const kept = `${waiting} ${waiting === 1 ? "answer waits" : "answers wait"} on this device and ${waiting === 1 ? "is" : "are"} sent as soon as it works.`;
    const login = `${this.config.urls?.login ?? "/accounts/login/"}?next=${encodeURIComponent(location.pathname + location.search)}`;
    const state = signedOut
      ? { kind: "red", words: `Signed out. ${kept}`, actions: [{ words: "Sign in", url: login }] }
      : { kind: "amber", words: `No connection. ${kept}`, actions: [{ words: "Try now", run: () => this.outbox.retryNow() }] };
    this.banners.show("outbox", { ...state, closes: false });
  }

  tellFeed({ reached, signedOut, message }) {
    this.feedTrouble = reached ? "" : signedOut ? "Signed out: sign in again to get parts." : `The server is not reached${message ? ` (${message})` : ""}.`;
    if (reached || this.part) this.banners.hide("feed");
    else this.screen.showEmpty(this.emptyState());
  }

  tellNext() {
    this.strip.showNext(this.feed.ready.slice(0, AHEAD), this.feed.waiting, this.part ? 1 : 0);
  }

  emptyState() {
    return { loading: this.feed.askedAt === 0 && !this.feedTrouble, trouble: this.feedTrouble ?? "", askedAt: this.feed.askedAt, waiting: this.feed.waiting };
  }
}

function afterPaint(run) {
  // After the frame that is being prepared has been drawn: what may wait must not delay it.
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = run;
    channel.port2.postMessage(null);
  });
}

function measurePaint(start) {
  // From the key to the frame that holds the next part, for tests and for the curious.
  afterPaint(() => performance.measure("key to part", { start, end: performance.now() }));
}
