import { test } from "node:test";
import assert from "node:assert/strict";
import { percent } from "../assets/app/format.js";
import { languages } from "../assets/app/languages.js";
import { attachedOf, initial, reduce } from "../assets/app/state.js";
import { choices, isOpen, standing, takeSizes } from "../assets/app/transfers.js";
import { droppedFiles, pastedFiles, pastedName, uploader } from "../assets/app/uploads.js";

const { en, zh } = languages;
const file = { name: "x.pdf", bytes: 2_000_000, files: 1, folder: false };
const STATES = ["offered", "running", "waiting_for_turn", "waiting_for_peer", "waiting_for_room", "paused_by_us", "paused_by_them",
  "done", "declined", "cancelled_by_us", "cancelled_by_them", "failed"];

test("a running transfer says how far, how fast, how long and from where", () => {
  const transfer = { state: "running", moved: 1_500_000, rate: 250_000, left_ms: 2000, resumed_at: 1_260_000 };
  assert.equal(standing(file, transfer, en), "1.5 MB / 2.0 MB (75 %) · On its way · 250 KB/s · 0:02 left · Resumed at 63 %");
  assert.equal(standing(file, transfer, zh), "1.5 MB / 2.0 MB (75 %) · 传输中 · 250 KB/s · 剩余 0:02 · 从 63% 处继续");
  assert.equal(standing({ ...file, folder: true, files: 3 }, undefined, en), "2.0 MB · 3 files");
  const partial = { ...file, folder: true, files: 3, left_out: 2, left_out_names: ["socket"] };
  assert.equal(standing(partial, { state: "done" }, en), "2.0 MB · 3 files · 2 left out: socket, … · Complete");
  assert.equal(standing(file, { state: "failed", failure: "source", moved: 5 }, en), "2.0 MB · Failed: the file is no longer where it was sent from, or cannot be read");
  assert.equal(standing(file, { state: "of a later version", moved: 5 }, en), "2.0 MB · of a later version");
});

test("every state and failure has its words in every language", () => {
  for (const t of [en, zh]) {
    for (const state of STATES) assert.ok(t.fileState[state], `${t.code} ${state}`);
    for (const failure of ["source", "destination", "protocol", "too_many", "changed"]) assert.ok(t.failure[failure]);
  }
  for (const key of Object.keys(en)) assert.equal(typeof zh[key], typeof en[key], key);
});

test("what can be done depends on the state and on whose it is", () => {
  const of = (state, incoming) => choices(file, { state, incoming }, en).map(([what]) => what);
  assert.deepEqual(of("offered", true), ["accept", "decline"]);
  assert.deepEqual(of("offered", false), ["cancel"]);
  assert.deepEqual(of("running", true), ["pause", "cancel"]);
  assert.deepEqual(of("waiting_for_peer", false), ["pause", "cancel"]);
  assert.deepEqual(of("paused_by_us", true), ["resume", "cancel"]);
  assert.deepEqual(of("paused_by_them", true), ["cancel"]);
  assert.deepEqual(of("done", true), ["open", "folder", "save"]);
  assert.deepEqual(of("done", false), []);
  assert.deepEqual(of("failed", true), []);
  const sent = (path) => choices(file, { state: "failed", incoming: false, path }, en).map(([what]) => what);
  assert.deepEqual(sent("/home/ann/uploads/notes.txt"), ["again"]);
  assert.deepEqual(sent(`/home/ann/.local/share/hallway/uploads/${"0a".repeat(16)}/notes.txt`), []);
  const full = (incoming) => standing(file, { state: "waiting_for_room", incoming }, en);
  assert.match(full(true), /this computer is full/u);
  assert.match(full(false), /their disk is full/u);
  assert.deepEqual(choices({ ...file, folder: true }, { state: "done", incoming: true }, en).map(([what]) => what), ["open", "folder"]);
  assert.deepEqual(choices(file, undefined, en), []);
  assert.ok(!isOpen(undefined));
});

test("the size that is set can be chosen whatever it is", () => {
  assert.deepEqual(takeSizes(100e6), [0, 10e6, 100e6, 1e9, 10e9]);
  assert.deepEqual(takeSizes(2000), [0, 2000, 10e6, 100e6, 1e9, 10e9]);
});

test("percent is 100 only when all is there", () => {
  assert.deepEqual([percent(0, 10), percent(999, 1000), percent(1000, 1000), percent(5, 0), percent(9, 3)], [0, 99, 100, 100, 100]);
});

test("a pasted picture gets a name, and a table stays text", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5);
  assert.equal(pastedName("Picture", "image/png", at), "Picture 2026-01-02 03.04.05.png");
  assert.equal(pastedName("图片", "image/jpeg", at), "图片 2026-01-02 03.04.05.jpg");
  assert.equal(pastedName("x", "", at), "x 2026-01-02 03.04.05");
  const picture = { name: "image.png" };
  assert.deepEqual(pastedFiles({ types: ["Files", "text/html"], files: [picture] }), [picture]);
  assert.deepEqual(pastedFiles({ types: ["text/plain", "Files"], files: [picture] }), []);
});

test("folders among what is dropped are left out, and said", () => {
  const item = (name, isDirectory) => ({ kind: "file", webkitGetAsEntry: () => ({ isDirectory }), getAsFile: () => ({ name }) });
  const dropped = droppedFiles({ items: [item("a", false), item("b", true), { kind: "string" }] });
  assert.deepEqual(dropped, { files: [{ name: "a" }], folders: true });
});

const attached = (id) => ({ id, name: id, file: { size: 10 } });

test("what is attached waits for its own talk until it is sent or taken out", () => {
  let state = reduce(initial(), { type: "attach", peer: "bo", files: [attached("a"), attached("b")] });
  state = reduce(state, { type: "attach", peer: "al", files: [attached("c")] });
  state = reduce(state, { type: "detach", peer: "bo", id: "a" });
  assert.deepEqual(attachedOf(state, "bo").map((f) => f.id), ["b"]);
  state = reduce(state, { type: "detach", peer: "bo" });
  assert.deepEqual([attachedOf(state, "bo"), attachedOf(state, "al").length], [[], 1]);
});

/** An uploader over an API whose uploads end when the test says so. */
function scene() {
  const seen = { state: initial(), asked: [], failed: [] };
  const api = {
    upload: (path, body, onSent, signal) => new Promise((resolve, reject) => {
      seen.asked.push({ path, onSent, resolve, reject });
      signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    }),
  };
  const dispatch = (action) => { seen.state = reduce(seen.state, action); };
  return [seen, uploader(api, dispatch, (error) => seen.failed.push(error.message))];
}

test("files are sent one after the other, each told how far it is", async () => {
  const [seen, uploads] = scene();
  const all = uploads.send(["bo", "cy"], [attached("a&b"), attached("c")]);
  assert.deepEqual(seen.asked.map((asked) => asked.path), ["files/upload?to=bo&to=cy&name=a%26b&client_id=a%26b"]);
  seen.asked[0].onSent(4);
  assert.deepEqual(seen.state.uploads.map((upload) => upload.sent), [4, 0]);
  seen.asked[0].resolve();
  await new Promise(setImmediate);
  assert.equal(seen.asked.length, 2);
  seen.asked[1].resolve();
  await all;
  assert.deepEqual([seen.state.uploads, seen.failed], [[], []]);
});

test("an upload that fails is attached again, and one that is cancelled is not", async () => {
  const [seen, uploads] = scene();
  const all = uploads.send(["bo"], [attached("a"), attached("b"), attached("c")]);
  const [first, second, third] = seen.state.uploads.map((upload) => upload.key);
  uploads.cancel(third);
  seen.asked[0].reject(new Error("no room"));
  await new Promise(setImmediate);
  uploads.cancel(second);
  await all;
  uploads.cancel(first);
  assert.deepEqual(attachedOf(seen.state, "bo").map((f) => f.id), ["a"]);
  assert.deepEqual([seen.failed, seen.state.uploads, seen.asked.length], [["no room"], [], 2]);
});
