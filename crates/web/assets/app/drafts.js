// What was begun to be written to each person, kept whatever happens to the page.

const key = (peer) => `hallway.draft.${peer}`;

export const draftOf = (peer) => localStorage.getItem(key(peer)) ?? "";

export function keepDraft(peer, text) {
  if (text) localStorage.setItem(key(peer), text);
  else localStorage.removeItem(key(peer));
}
