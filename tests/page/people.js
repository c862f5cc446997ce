// What every case is written with: hosts, and people at browsers on them.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import http from "node:http";
import readline from "node:readline";
import { chromium } from "playwright-core";

/** Far more than anything takes. */
const PATIENCE_MS = 60_000;
/** Screenshots are kept here when this names a folder. */
const SHOTS = process.env.HALLWAY_SCREENSHOTS;
/** With this the page is what is on disk now, and not what the program was built with. */
const FROM_DISK = process.env.HALLWAY_PAGE_FROM_DISK && new URL("../../crates/web/assets", import.meta.url).pathname;
/** What a browser says of a node that is down, and of an answer that is no success. */
const EXPECTED = /Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE/u;

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Asks the test program for what only it can do. */
async function ask(request) {
  process.stdout.write(`${JSON.stringify(request)}\n`);
  await answers.next();
}

/** Hands over figures; see `page::run`. */
export const measured = (values) => ask({ do: "measured", values });

/** A node: what it answers on its Unix socket. */
export class Host {
  constructor({ number, id, home, browser }) {
    Object.assign(this, { number, id, home, browser });
  }

  kill() {
    return ask({ do: "kill", host: this.number });
  }

  up() {
    return ask({ do: "up", host: this.number });
  }

  request(method, path, body) {
    return new Promise((resolve, reject) => {
      const options = { socketPath: `${this.home}/api.sock`, method, path: `/api/v1/${path}`, headers: { "Content-Type": "application/json" } };
      const request = http.request(options, async (reply) => {
        let text = "";
        for await (const piece of reply) text += piece;
        if (reply.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${method} ${path}: ${reply.statusCode} ${text}`));
      });
      request.on("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  get(path) {
    return this.request("GET", path);
  }

  post(path, body) {
    return this.request("POST", path, body);
  }

  /** Sends a text and waits until it is on the other's disk. */
  tell(peer, text) {
    return this.post("messages", { to: peer.id, text, wait: "delivered", timeout_ms: PATIENCE_MS });
  }
}

const people = [];

const TYPES = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };

async function fromDisk(cdp) {
  cdp.on("Fetch.requestPaused", async ({ requestId, request, responseHeaders }) => {
    const { pathname } = new URL(request.url);
    const name = pathname === "/" ? "/index.html" : pathname;
    const body = await readFile(FROM_DISK + name, "base64");
    const kept = responseHeaders.filter(({ name: header }) => !/^(etag|content-length|content-type)$/iu.test(header));
    const type = TYPES[name.split(".").at(-1)] ?? "text/javascript; charset=utf-8";
    await cdp.send("Fetch.fulfillRequest", { requestId, responseCode: 200, responseHeaders: [...kept, { name: "Content-Type", value: type }], body });
  });
  const patterns = ["/", "/app/*", "/vendor/*", "/*.css"].map((path) => ({ urlPattern: `http://127.0.0.1:*${path}`, requestStage: "Response" }));
  await cdp.send("Fetch.enable", { patterns });
}

/** Somebody at a browser. What goes wrong in it fails the case. */
export class Person {
  static async at(host, options = {}) {
    const { scripts = [], args = [], ...rest } = options;
    // In the C locale it does not drop a file whose name is not ASCII.
    const env = { ...process.env, LC_ALL: "C.UTF-8" };
    const browser = await chromium.launch({ executablePath: host.browser, args: ["--disable-gpu", ...args], env });
    const context = await browser.newContext({ locale: "en-US", viewport: { width: 1280, height: 800 }, ...rest });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(host, browser, context);
    people.push(person);
    await context.addInitScript(() => {
      globalThis.broken = [];
      addEventListener("securitypolicyviolation", (event) => globalThis.broken.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    for (const content of scripts) await context.addInitScript({ content });
    return person;
  }

  constructor(host, browser, context) {
    Object.assign(this, { host, browser, context, problems: [] });
  }

  /** Opens the page in a new tab, as `hallway open` does; `more` is what the desktop adds to the address. */
  async tab(more = "") {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.problems.push(`error: ${error.stack}`));
    page.on("dialog", (dialog) => {
      if (dialog.type() !== "beforeunload") this.problems.push(`dialog: ${dialog.message()}`);
      dialog.accept();
    });
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !EXPECTED.test(text)) this.problems.push(`console: ${text}`);
    });
    if (FROM_DISK) await fromDisk(await this.context.newCDPSession(page));
    const { url } = await this.host.post("open");
    await page.goto(url + more);
    return page;
  }

  /** Opens the page and answers its first question. */
  async open() {
    this.page = await this.tab();
    const { page } = this;
    await page.locator("dialog form button.primary").click();
    await page.locator("dialog").waitFor({ state: "detached" });
    this.cdp = await this.context.newCDPSession(page);
    return this;
  }

  get area() {
    return this.page.locator("textarea");
  }

  /** The last message with this text. */
  message(text) {
    return this.page.locator("li.message", { hasText: text }).last();
  }

  async choose(name) {
    await this.page.locator(".lists button.person", { hasText: name }).click();
    await this.area.waitFor();
  }

  async say(text) {
    await this.area.fill(text);
    await this.area.press("Enter");
  }

  /** Waits until something holds in the page. */
  until(look, argument) {
    return this.page.waitForFunction(look, argument);
  }

  async shot(name) {
    if (!SHOTS) return;
    await mkdir(SHOTS, { recursive: true });
    await this.page.screenshot({ path: `${SHOTS}/${name}.png` });
  }

  /** Ends the browser while others go on. */
  async leave() {
    await this.check();
    await this.browser.close();
    this.closed = true;
  }

  async check() {
    if (this.closed) return;
    for (const page of this.context.pages()) {
      this.problems.push(...(await page.evaluate(() => globalThis.broken ?? [])));
    }
    assert.deepEqual(this.problems, []);
  }
}

/** Ends all browsers; after a success nothing may have gone wrong in any. */
export async function leave(error) {
  for (const [number, person] of people.entries()) {
    if (error) {
      console.error(`at ${number}:`, person.problems);
      const text = await person.page?.locator("body").innerText({ timeout: 2000 }).catch(() => "");
      console.error(text?.slice(-3000));
      await person.shot(`failed-${number}`).catch(() => {});
    } else await person.check();
  }
  await Promise.all(people.filter((person) => !person.closed).map((person) => person.browser.close()));
}
