import { test } from "node:test";
import assert from "node:assert/strict";
import { day, duration, initials, isEmojiOnly, numberLines, parts, size } from "../assets/app/format.js";
import { languages, pick } from "../assets/app/languages.js";
import { lineSplitter } from "../assets/app/api.js";
import { sends } from "../assets/app/writing.js";

test("sizes have three digits at most", () => {
  assert.deepEqual([0, 999, 1000, 29_600_000, 999_600, 4_294_967_296].map(size), ["0 B", "999 B", "1.0 KB", "29.6 MB", "1.0 MB", "4.3 GB"]);
});

test("durations are those of a clock", () => {
  assert.deepEqual([0, 7000, 751_000, 3_723_000].map(duration), ["0:00", "0:07", "12:31", "1:02:03"]);
});

test("initials in two scripts", () => {
  assert.deepEqual(["王小明", "Anna Kowalska", "bo", "前台 Reception", "", "👍"].map(initials), ["小明", "AK", "BO", "前台", "?", "👍"]);
});

test("links, code and blocks are found, and nothing else is made of a text", () => {
  assert.deepEqual(parts("see https://a.b/c, ok"), [{ text: "see " }, { link: "https://a.b/c" }, { text: ", ok" }]);
  assert.deepEqual(parts("链接https://内网.cn/x。好"), [{ text: "链接" }, { link: "https://内网.cn/x" }, { text: "。好" }].slice(0, 3));
  assert.deepEqual(parts("`a` and ```b"), [{ code: "a" }, { text: " and ```b" }]);
  assert.deepEqual(parts("x\n```js\ncode\n```\ny"), [{ text: "x" }, { block: "code" }, { text: "y" }]);
  assert.deepEqual(parts("<script>alert(1)</script>"), [{ text: "<script>alert(1)</script>" }]);
  assert.deepEqual(parts("javascript:alert(1)"), [{ text: "javascript:alert(1)" }]);
});

test("three emoji are large, words and numbers are not", () => {
  assert.deepEqual(["👍", "👍🏽 ❤️", "👨‍👩‍👧‍👦", "ok 👍", "1", "", "👍👍👍👍"].map(isEmojiOnly), [true, true, true, false, false, false, false]);
});

test("days have names near now", () => {
  const words = { today: "Today", yesterday: "Yesterday" };
  const now = new Date(2026, 10, 21, 12).getTime();
  assert.equal(day(now - 1000, now, "en", words), "Today");
  assert.equal(day(now - 86_400_000, now, "en", words), "Yesterday");
  assert.match(day(now - 3 * 86_400_000, now, "en", words), /Wednesday/);
});

test("a safety number is read in lines of four groups", () => {
  assert.deepEqual(numberLines("1".repeat(60)), Array(3).fill("11111 11111 11111 11111"));
});

test("both languages have every word", () => {
  const shape = (words) => Object.entries(words).map(([key, word]) => `${key}:${typeof word}`).sort();
  assert.deepEqual(shape(languages.zh), shape(languages.en));
  const same = Object.keys(languages.en).filter((key) => typeof languages.en[key] === "string" && languages.en[key] === languages.zh[key]);
  assert.deepEqual(same, []);
});

test("the language is the one chosen, or the browser's", () => {
  assert.equal(pick(null, ["zh-CN", "en"]).code, "zh-CN");
  assert.equal(pick(null, ["en-US", "zh"]).code, "en");
  assert.equal(pick("en", ["zh-CN"]).code, "en");
});

test("lines come whole from any pieces", () => {
  const values = [];
  const take = lineSplitter((value) => values.push(value));
  for (const piece of ['{"a"', ':1}\n\n{"a":2}', "\n", '{"a":3}']) take(piece);
  assert.deepEqual(values, [{ a: 1 }, { a: 2 }]);
});

test("Enter sends, but not while an input method composes", () => {
  const key = (more) => ({ key: "Enter", shiftKey: false, isComposing: false, keyCode: 13, ...more });
  assert.deepEqual([key(), key({ shiftKey: true }), key({ isComposing: true }), key({ keyCode: 229 }), key({ key: "a" })].map(sends), [true, false, false, false, false]);
});
