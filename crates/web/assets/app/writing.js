// What is written and not sent yet: kept for each person whatever happens to the page, until a key sends it.

const key = (peer) => `hallway.draft.${peer}`;

export const draftOf = (peer) => localStorage.getItem(key(peer)) ?? "";

export function keepDraft(peer, text) {
  if (text) localStorage.setItem(key(peer), text);
  else localStorage.removeItem(key(peer));
}

/** Enter sends, unless an input method is still composing: Safari tells that only by 229. */
export const sends = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
