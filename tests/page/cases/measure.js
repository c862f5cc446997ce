// How fast the page is, beside a talk of 100,000 messages; run by `scripts/bench page`.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { Person, measured } from "../people.js";

const KEYS = 60;
const MESSAGES = 30;
const PAINTS = 15;
const TURNS = 120;
const ASSETS = new URL("../../../crates/web/assets/", import.meta.url);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** From a key until what it has changed was painted, for each of some keys. */
async function typing(person) {
  await person.area.focus();
  await person.page.evaluate(() => {
    globalThis.glyphs = [];
    document.querySelector("textarea").addEventListener("keydown", (event) => {
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port2.onmessage = () => globalThis.glyphs.push(performance.now() - event.timeStamp);
        port1.postMessage(null);
      });
    });
  });
  for (let i = 0; i < KEYS; i += 1) {
    await person.page.keyboard.press("a");
    await person.until((count) => globalThis.glyphs.length === count, i + 1);
  }
  await person.area.fill("");
  return median(await person.page.evaluate(() => globalThis.glyphs));
}

/** From Enter at one host until the message was painted at the other. Both have one clock. */
async function arrival(ann, bo) {
  await ann.page.evaluate(() => {
    document.querySelector("textarea").addEventListener("keydown", (event) => {
      if (event.key === "Enter") globalThis.entered = performance.timeOrigin + event.timeStamp;
    });
  });
  const times = [];
  for (let i = 0; i < MESSAGES; i += 1) {
    const text = `measured ${i}.`;
    const seen = bo.page.evaluate((wanted) => new Promise((resolve) => {
      const look = () => {
        if (![...document.querySelectorAll("li.message .text")].some((row) => row.textContent === wanted)) return;
        watch.disconnect();
        requestAnimationFrame(() => {
          const { port1, port2 } = new MessageChannel();
          port2.onmessage = () => resolve(performance.timeOrigin + performance.now());
          port1.postMessage(null);
        });
      };
      const watch = new MutationObserver(look);
      watch.observe(document.querySelector(".log"), { childList: true, subtree: true });
    }), text);
    await ann.say(text);
    const at = await seen;
    times.push(at - (await ann.page.evaluate(() => globalThis.entered)));
  }
  return median(times);
}

/** Until there is something to see, with nothing of the page in the browser. */
async function paint(host) {
  const times = [];
  for (let i = 0; i < PAINTS; i += 1) {
    const person = await Person.at(host);
    const page = await person.tab();
    await page.locator(".lists button.person").waitFor();
    times.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    await person.leave();
  }
  return median(times);
}

/** Frames a second while the wheel turns. */
async function scrolling(person) {
  const { page } = person;
  const box = await page.locator(".log").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.evaluate(() => {
    globalThis.frames = [];
    const next = (at) => {
      globalThis.frames.push(at);
      if (globalThis.frames) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  for (let i = 0; i < TURNS; i += 1) await page.mouse.wheel(0, -400);
  const frames = await page.evaluate(() => globalThis.frames);
  return ((frames.length - 1) * 1000) / (frames.at(-1) - frames[0]);
}

function weight() {
  const names = readdirSync(ASSETS, { recursive: true });
  const served = names.filter((name) => statSync(new URL(name, ASSETS)).isFile() && !/LICENSE|SHA256SUMS/u.test(name));
  return served.reduce((sum, name) => sum + gzipSync(readFileSync(new URL(name, ASSETS)), { level: 9 }).length, 0);
}

export default async function measure(annHost, boHost) {
  const firstPaint = await paint(annHost);
  const ann = await (await Person.at(annHost)).open();
  const bo = await (await Person.at(boHost)).open();
  await ann.choose("Bo");
  await bo.choose("Ann");
  await ann.message("message 100000.").waitFor();
  await ann.page.bringToFront();
  const glyph = await typing(ann);
  const arrived = await arrival(ann, bo);
  const frames = await scrolling(ann);
  await measured({ first_paint_ms: firstPaint, key_to_glyph_ms: glyph, enter_to_other_ms: arrived, frames_per_second: frames, weight_bytes: weight() });
}
