import { test } from "node:test";
import assert from "node:assert/strict";
import { qr, qrPath, SIDE } from "../assets/app/qr.js";

/** Rows of 25 modules in hexadecimal, as another encoder makes them: version 2-M, mask 0. */
const KNOWN = "1fc737f 1052a41 174215d 174df5d 175585d 1049b41 1fd557f 0003600 1548c12 0aab06b 0be1539 0ab44c9 1275c1f 02325f1 154946c 09aa879 116d3f7 0012d1a 1fc7f59 104d519 1756dfe 1747202 1752c8d 1041b7c 1fd4ecd";

test("a safety number becomes the code that others make of it", () => {
  const rows = qr("1234567890".repeat(6)).map((row) => Number.parseInt(row.map(Number).join(""), 2).toString(16).padStart(7, "0"));
  assert.equal(rows.join(" "), KNOWN);
});

test("other numbers make other codes, all of one size", () => {
  const paths = ["0".repeat(60), "9".repeat(60), "9".repeat(59), "9".repeat(63)].map(qrPath);
  assert.equal(new Set(paths).size, paths.length);
  assert.ok(qr("7").every((row) => row.length === SIDE && row.every((dark) => typeof dark === "boolean")));
});
