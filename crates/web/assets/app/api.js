// The node, as the page sees it: requests, and one stream of events.
const TOKEN = "hallway.token";
const LANGUAGE = "hallway.desktop";
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5000;

/** What the node refused, in its own words: an RFC 9457 problem. */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? String(problem.status));
    this.code = problem.code;
    this.candidates = problem.candidates ?? [];
  }
}

/** The node does not answer, or does not know this page any more. */
export class Unreachable extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** Exchanges the ticket in the address, if there is one, for the token of this tab. The language of
    the desktop comes with it: that of a browser is often only the one it was installed in. */
export async function enter(location, history, storage) {
  const given = new URLSearchParams(location.hash.slice(1));
  const ticket = given.get("ticket");
  if (!ticket) return storage.getItem(TOKEN);
  if (given.has("lang")) storage.setItem(LANGUAGE, given.get("lang"));
  history.replaceState(null, "", location.pathname);
  const reply = await fetch("/api/v1/ticket", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ticket }),
  });
  if (!reply.ok) return storage.getItem(TOKEN);
  const { token } = await reply.json();
  storage.setItem(TOKEN, token);
  return token;
}

/** The languages of who sits here, the most wanted first. */
export const wanted = (storage, browser) => [storage.getItem(LANGUAGE), ...browser].filter(Boolean);

/** Splits what comes in pieces into the lines of NDJSON, each parsed. */
export function lineSplitter(onValue) {
  let rest = "";
  return (piece) => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line) onValue(JSON.parse(line));
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export class Api {
  constructor(token) {
    this.token = token;
  }

  async request(method, path, body, more = {}) {
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let reply;
    try {
      const text = body === undefined ? undefined : JSON.stringify(body);
      reply = await fetch(`/api/v1/${path}`, { method, headers: { ...headers, ...more.headers }, body: text, signal: more.signal });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Unreachable("down");
    }
    if (reply.status === 401) throw new Unreachable("no_token");
    if (!reply.ok) {
      throw new Refused(await reply.json().catch(() => ({ status: reply.status })));
    }
    return reply;
  }

  async get(path, query) {
    const asked = query ? `?${new URLSearchParams(query)}` : "";
    return (await this.request("GET", path + asked)).json();
  }

  async blob(path) {
    return (await this.request("GET", path)).blob();
  }

  /** Sends a file as it is and says how far it is: `fetch` cannot tell that. */
  upload(path, file, onSent, signal) {
    const request = new XMLHttpRequest();
    const end = () => request.abort();
    const done = new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => onSent(event.loaded);
      request.onload = () => {
        const { status, responseText } = request;
        if (status === 200) resolve(JSON.parse(responseText));
        else if (status === 401) reject(new Unreachable("no_token"));
        else reject(new Refused(parsed(responseText) ?? { status }));
      };
      request.onerror = () => reject(new Unreachable("down"));
      request.onabort = () => reject(new DOMException("", "AbortError"));
    });
    request.open("POST", `/api/v1/${path}`);
    request.setRequestHeader("Authorization", `Bearer ${this.token}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    signal.addEventListener("abort", end);
    request.send(file);
    return done.finally(() => signal.removeEventListener("abort", end));
  }

  async post(path, body) {
    return (await this.request("POST", path, body)).json();
  }

  async put(path, body) {
    return (await this.request("PUT", path, body)).json();
  }

  /**
   * Tells every event until `signal` fires, and comes back by itself after each break. `on.begin`
   * says before each stream from which event on, `on.open` is called once it is there, `on.down`
   * when it breaks.
   */
  async follow(on, signal) {
    let wait = RETRY_FIRST_MS;
    while (!signal.aborted) {
      try {
        const reply = await this.request("GET", `events?since=${await on.begin()}`, undefined, {
          headers: { Accept: "application/x-ndjson" },
          signal,
        });
        wait = RETRY_FIRST_MS;
        await on.open();
        const take = lineSplitter(on.event);
        const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          take(value);
        }
      } catch (error) {
        if (signal.aborted) return;
        on.down(error.code ?? "down");
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, RETRY_MAX_MS);
    }
  }
}
