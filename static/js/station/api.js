// The review API as the station uses it. Three ways to fail, told apart: refused (ApiError),
// signed out (SignedOut), not reached or overloaded (NotReached: worth another try).

export class ApiError extends Error {
  constructor(status, { code = "error", message = "The server refused this.", extra = {} } = {}) {
    super(message);
    Object.assign(this, { status, code, extra: extra ?? {} });
  }
}
export class SignedOut extends Error {}
export class NotReached extends Error {}

const TIMEOUT_MS = 20_000; // as long as the database may wait for its lock

function csrfToken() {
  return /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie)?.[1] ?? "";
}

export function newKey() {
  // A random UUID; crypto.randomUUID is missing on plain http, which closed plants use.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Api {
  constructor(base) {
    this.base = base;
  }

  async call(method, path, body, { keepalive = false } = {}) {
    let answer;
    try {
      answer = await fetch(this.base + path, {
        method,
        keepalive,
        credentials: "same-origin",
        headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: keepalive ? undefined : AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new NotReached(error.message);
    }
    if (answer.status === 204) return null;
    const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
    const data = isJson ? await answer.json().catch(() => ({})) : {};
    if (answer.ok && isJson) return data;
    if (answer.status >= 500 || answer.status === 429) throw new NotReached(data.error?.message ?? `Answer ${answer.status}`);
    // A sign-in page (200, html) and a CSRF failure (403, html) both mean: sign in again.
    const code = data.error?.code ?? "";
    if (answer.status === 401 || !isJson || code === "not_authenticated" || code === "authentication_failed") {
      throw new SignedOut("Signed out");
    }
    throw new ApiError(answer.status, data.error);
  }

  next(body) {
    return this.call("POST", "next", body);
  }
  recent() {
    return this.call("GET", "recent");
  }
  look(itemId) {
    return this.call("POST", `items/${itemId}/look`, {});
  }
  renew(itemId) {
    return this.call("POST", `items/${itemId}/renew`, {});
  }
  release(itemId) {
    return this.call("POST", `items/${itemId}/release`, {}, { keepalive: true });
  }
  defer(itemId) {
    return this.call("POST", `items/${itemId}/defer`, {}, { keepalive: true });
  }
  decide(itemId, body) {
    return this.call("POST", `items/${itemId}/decision`, body, { keepalive: true });
  }
  undo(decisionId, body) {
    return this.call("POST", `decisions/${decisionId}/undo`, body, { keepalive: true });
  }
}
