import { test } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** All that a browser loads, each file compressed by itself. */
const BYTES_MAX = 60_000;
const ASSETS = new URL("../assets/", import.meta.url);

test("the page is light", () => {
  const names = readdirSync(ASSETS, { recursive: true });
  const served = names.filter((name) => statSync(new URL(name, ASSETS)).isFile() && !/LICENSE|SHA256SUMS/u.test(name));
  assert.ok(served.length > 20, `only ${served.length} files`);
  const bytes = served.map((name) => gzipSync(readFileSync(new URL(name, ASSETS)), { level: 9 }).length);
  const whole = bytes.reduce((sum, one) => sum + one, 0);
  assert.ok(whole <= BYTES_MAX, `${whole} bytes`);
});

test("every module is asked for at once, not when another turns out to need it", () => {
  const page = readFileSync(new URL("index.html", ASSETS), "utf8");
  const asked = [...page.matchAll(/(?:modulepreload" href|script type="module" src)="\/([^"]+)"/gu)].map(([, name]) => name);
  const modules = readdirSync(ASSETS, { recursive: true }).filter((name) => /\.m?js$/u.test(name));
  assert.deepEqual(asked.sort(), modules.sort());
});
