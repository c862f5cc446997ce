// Pure: which key sends what was written.

/** Enter sends, unless an input method is still composing: Safari tells that only by 229. */
export const sends = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
