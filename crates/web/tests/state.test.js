import { test } from "node:test";
import assert from "node:assert/strict";
import { ambiguous, hasFiles, initial, lastSeqOf, merge, people, reduce, ROWS_MAX, talkOf, unreadTotal } from "../assets/app/state.js";

const ME = "me";
const message = (id, more = {}) => ({ id, from: "bo", to: ME, seq: 1, kind: "text", text: id, state: "delivered", at: 1000, reactions: [], ...more });
const peer = (id, more = {}) => ({ id, name: id, tag: id, state: "live", status: "available", contact: true, request: false, blocked: false, unread: 0, last_seen: null, ...more });
const event = (number, kind, more) => ({ type: "event", event: { event: number, kind, ...more } });

function started(...actions) {
  const begun = [{ type: "me", me: { id: ME, event: 5 } }, { type: "peers", peers: [peer("bo"), peer("al", { contact: false })] }, ...actions];
  return begun.reduce(reduce, initial());
}

const many = (first, count) => Array.from({ length: count }, (_, i) => message(String(first + i)));
const page = (side, messages, more = {}) => ({ type: "page", side, peer: "bo", messages, complete: false, ...more });
const shown = (state) => talkOf(state, "bo").messages.map((m) => m.id);

test("a new message is counted, shown once, and read", () => {
  const told = event(6, "message", { new: true, message: message("a") });
  let state = started(page("latest", []), told, told);
  assert.equal(talkOf(state, "bo").messages.length, 1);
  assert.equal(state.event, 6);
  assert.equal(unreadTotal(started(told)), 1);
  state = reduce(state, { type: "read", peer: "bo" });
  assert.equal(unreadTotal(state), 0);
});

test("a page is needed while it has files", () => {
  const attach = { type: "attach", peer: "bo", files: [{ id: "f" }] };
  const upload = { type: "upload", upload: { key: 1 } };
  assert.equal(hasFiles(started()), false);
  assert.equal(hasFiles(started(attach)), true);
  assert.equal(hasFiles(started(attach, { type: "detach", peer: "bo" })), false);
  assert.equal(hasFiles(started(upload)), true);
  assert.equal(hasFiles(started(upload, { type: "uploaded", key: 1 })), false);
});

test("a message of ours goes to the talk with its receiver, and only forward", () => {
  const own = message("b", { from: ME, to: "bo", state: "queued" });
  let state = started(page("latest", []), event(6, "message", { new: true, message: own }));
  const states = ["sent", "delivered", "sent"].map((name) => {
    state = reduce(state, event(6, "state", { id: "b", peer: "bo", state: name }));
    return talkOf(state, "bo").messages[0].state;
  });
  assert.deepEqual(states, ["sent", "delivered", "delivered"]);
  state = reduce(state, event(6, "read_up_to", { author: ME, peer: "bo", seq: 1 }));
  assert.equal(talkOf(state, "bo").messages[0].state, "read");
  assert.equal(unreadTotal(state), 0);
});

test("what waits was not read, whatever its number", () => {
  const own = message("b", { from: ME, to: "bo", state: "queued" });
  const state = started(page("latest", []), event(6, "message", { new: true, message: own }), event(6, "read_up_to", { author: ME, peer: "bo", seq: 9 }));
  assert.equal(talkOf(state, "bo").messages[0].state, "queued");
});

test("pages join before and after what is known", () => {
  const pages = (side, ...ids) => page(side, ids.map((id) => message(id)));
  const state = started(pages("latest", "c", "d"), pages("before", "a", "b"), pages("latest", "c", "d", "e"));
  assert.deepEqual(shown(state), ["a", "b", "c", "d", "e"]);
  const jumped = reduce(reduce(state, pages("around", "x", "y")), { ...pages("after", "z"), complete: true });
  assert.deepEqual(shown(jumped), ["x", "y", "z"]);
  assert.equal(talkOf(jumped, "bo").latest, true);
});

test("so many messages are held and no more, and what is out of sight is known to be there", () => {
  let state = started(page("latest", many(1000, ROWS_MAX), { complete: true }));
  assert.deepEqual([talkOf(state, "bo").complete, talkOf(state, "bo").latest], [true, true]);
  state = reduce(state, page("before", many(900, 100), { complete: true }));
  assert.deepEqual([shown(state)[0], shown(state).length, talkOf(state, "bo").latest], ["900", ROWS_MAX, false]);
  // A new one is elsewhere then, and still the last word.
  state = reduce(state, event(6, "message", { new: true, message: message("new") }));
  assert.deepEqual([shown(state).length, talkOf(state, "bo").last.id], [ROWS_MAX, "new"]);
  state = reduce(state, page("after", [...many(1200, 99), message("new")], { complete: true }));
  assert.deepEqual([shown(state).at(-1), shown(state).length], ["new", ROWS_MAX]);
  assert.deepEqual([talkOf(state, "bo").complete, talkOf(state, "bo").latest], [false, true]);
});

test("new messages push old ones out at the end, and nobody's view away", () => {
  const told = (from, count) => many(from, count).map((m) => event(6, "message", { new: true, message: m }));
  const begun = started(page("latest", many(0, ROWS_MAX), { complete: true }));
  const pinned = told(ROWS_MAX, 5).reduce(reduce, begun);
  assert.deepEqual([shown(pinned)[0], shown(pinned).length, talkOf(pinned, "bo").complete], ["5", ROWS_MAX, false]);
  const reading = told(ROWS_MAX, 200).reduce(reduce, reduce(begun, { type: "pin", peer: "bo", pinned: false }));
  assert.equal(shown(reading)[0], "0");
  assert.ok(shown(reading).length < ROWS_MAX + 200);
  assert.equal(talkOf(reading, "bo").latest, false);
});

test("a change of an old message that is not loaded does not bring it to the end", () => {
  const state = started(page("latest", [message("z")]), event(7, "message", { new: false, message: message("old") }));
  assert.deepEqual(talkOf(state, "bo").messages.map((m) => m.id), ["z"]);
  assert.deepEqual(merge([message("z")], message("z", { text: "changed" }))[0].text, "changed");
});

test("an event of a peer keeps the count of unread messages", () => {
  const state = started(event(6, "message", { new: true, message: message("a") }), event(6, "peer", { peer: peer("bo", { name: "Bo" }) }));
  assert.equal(state.peers.bo.unread, 1);
  assert.equal(state.peers.bo.name, "Bo");
});

test("whoever is forgotten leaves nothing on the page", () => {
  const state = started({ type: "select", peer: "bo" }, event(6, "peer_gone", { id: "bo" }));
  assert.equal(state.selected, null);
  assert.equal(state.peers.bo, undefined);
});

test("people are listed by what they need", () => {
  const peers = [
    peer("quiet", { last_seen: 9 }),
    peer("asks", { contact: false, request: true }),
    peer("near", { contact: false, state: "nearby" }),
    peer("gone", { contact: false, state: "offline" }),
    peer("unread", { unread: 2, last_seen: 1 }),
    peer("bad", { blocked: true }),
  ];
  const state = started({ type: "peers", peers });
  const lists = people(state);
  assert.deepEqual(lists.contacts.map((p) => p.id), ["unread", "quiet"]);
  assert.deepEqual(lists.requests.map((p) => p.id), ["asks"]);
  assert.deepEqual(lists.nearby.map((p) => p.id), ["near"]);
  assert.deepEqual(people(state, "QUI").contacts.map((p) => p.id), ["quiet"]);
});

test("two people of one name are told apart", () => {
  const state = started({ type: "peers", peers: [peer("a", { name: "Bo" }), peer("b", { name: "Bo" }), peer("c", { name: "Al" })] });
  assert.deepEqual([...ambiguous(state)], ["Bo"]);
});

test("a call is there until it ends", () => {
  const call = { id: "c", peer: "bo", state: "ringing" };
  let state = started(event(6, "call", { call }), event(6, "call_levels", { id: "c", microphone_dbfs: -20 }));
  assert.equal(state.calls.c.state, "ringing");
  state = reduce(state, event(6, "call", { call: { ...call, state: "ended" } }));
  assert.deepEqual([state.calls, state.levels], [{}, {}]);
});

test("whoever is muted neither comes first nor is counted", () => {
  const peers = [peer("loud", { unread: 1, last_seen: 1 }), peer("muted", { unread: 5, last_seen: 9 })];
  const state = started({ type: "peers", peers }, { type: "me", me: { id: ME, event: 5, muted: ["muted"] } });
  assert.deepEqual(people(state).contacts.map((p) => p.id), ["loud", "muted"]);
  assert.equal(unreadTotal(state), 1);
});

test("what was shown is the highest number of theirs", () => {
  assert.equal(lastSeqOf([message("a", { seq: 4 }), message("b", { seq: 9, from: ME })], "bo"), 4);
});
