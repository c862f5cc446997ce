import { test } from "node:test";
import assert from "node:assert/strict";
import { languages, pick } from "../assets/app/languages.js";

/** Every word of a language by its path, functions as what they say. */
function words(value, path = "") {
  if (typeof value === "function") return [[path, "function"]];
  if (Array.isArray(value)) return [[path, "list"]];
  if (typeof value === "string") return [[path, value]];
  return Object.entries(value).flatMap(([key, inner]) => words(inner, `${path}.${key}`));
}

test("Chinese says everything that English does", () => {
  const [en, zh] = [languages.en, languages.zh].map((language) => new Map(words(language)));
  const same = [];
  for (const [path, word] of en) {
    assert.ok(zh.has(path), path);
    if (word !== "function" && zh.get(path) === word) same.push(path);
  }
  assert.deepEqual(same, []);
  for (const [name, say] of Object.entries(languages.zh)) {
    if (typeof say === "function") assert.notEqual(say, languages.en[name], name);
  }
});

test("a call that nobody answered is missed by whom it was for, and not by who called", () => {
  for (const { callOutcome } of Object.values(languages)) {
    const told = (own) => ["missed", "busy", "cancelled"].map((outcome) => callOutcome[outcome]("", own));
    assert.equal(new Set(told(false)).size, 1);
    assert.equal(new Set([...told(true), ...told(false)]).size, 4);
  }
});

test("the language is the chosen one, or the browser's", () => {
  assert.equal(pick("zh", ["en-US"]).code, "zh-CN");
  assert.equal(pick(null, ["zh-CN", "en"]).code, "zh-CN");
  assert.equal(pick(null, ["en-US", "zh-CN"]).code, "en");
  assert.equal(pick("xx", ["fr"]).code, "en");
});
