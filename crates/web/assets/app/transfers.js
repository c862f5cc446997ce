// Pure: what is said of a transfer, and what can be done with it.
import { duration, percent, size } from "./format.js";

const OPEN = ["offered", "running", "waiting_for_turn", "waiting_for_peer", "waiting_for_room", "paused_by_us", "paused_by_them"];

/** It is not over. */
export const isOpen = (transfer) => OPEN.includes(transfer?.state);

/** One line about how a transfer stands. */
export function standing(file, transfer, t) {
  const { state, moved = 0 } = transfer ?? {};
  const unfinished = isOpen(transfer) && moved > 0;
  return [
    unfinished ? `${size(moved)} / ${size(file.bytes)} (${percent(moved, file.bytes)} %)` : size(file.bytes),
    file.folder && t.fileCount(file.files),
    file.left_out > 0 && t.leftOut(file.left_out, file.left_out_names ?? []),
    state === "failed" ? t.failure[transfer.failure] ?? t.fileState.failed
      : state === "waiting_for_room" && transfer.incoming ? t.noRoomHere : state && (t.fileState[state] ?? state),
    transfer?.rate && `${size(transfer.rate)}/s`,
    transfer?.left_ms > 0 && t.left(duration(transfer.left_ms)),
    state === "running" && transfer.resumed_at && t.resumedAt(percent(transfer.resumed_at, file.bytes)),
    state === "running" && transfer.changed > 0 && t.changed,
  ].filter(Boolean).join(" · ");
}

const ENDED_BADLY = ["failed", "declined", "cancelled_by_us", "cancelled_by_them"];
/** What a page has uploaded is kept only until it is over. */
const UPLOADED = /\/uploads\/[0-9a-f]{32}\//u;

/** What can be done with it: pairs of an action and its word. */
export function choices(file, transfer, t) {
  const { state, incoming } = transfer ?? {};
  if (state === "done" && incoming) {
    return [["open", t.openFile], ["folder", t.showInFolder], !file.folder && ["save", t.saveAs]].filter(Boolean);
  }
  if (state === "offered" && incoming) return [["accept", t.accept], ["decline", t.decline]];
  return [
    (state === "running" || state?.startsWith("waiting_for_")) && ["pause", t.pause],
    state === "paused_by_us" && ["resume", t.resume],
    isOpen(transfer) && ["cancel", t.cancel],
    !incoming && ENDED_BADLY.includes(state) && transfer.path && !UPLOADED.test(transfer.path) && ["again", t.sendAgain],
  ].filter(Boolean);
}

/** Sizes up to which files may be taken unasked, with the one that is set among them. */
export const takeSizes = (set) => [...new Set([0, 10e6, 100e6, 1e9, 10e9, set])].sort((a, b) => a - b);
