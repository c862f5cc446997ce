// Pure: numbers, times and texts as people read them.

const UNITS = ["B", "KB", "MB", "GB", "TB"];

/** 29.6 MB: three digits at most, decimal units as file managers show them. */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Whole percent, 100 only when all is there. */
export const percent = (part, whole) => (whole > 0 ? Math.floor((Math.min(part, whole) * 100) / whole) : 100);

/** 0:07, 12:31, 1:02:03. */
export function duration(ms) {
  const whole = Math.floor(ms / 1000);
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

const formatters = new Map();

function formatter(language, options) {
  const key = language + JSON.stringify(options);
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat(language, options));
  return formatters.get(key);
}

export const clock = (at, language) => formatter(language, { hour: "2-digit", minute: "2-digit", hour12: false }).format(at);

/** The exact time of a message. */
export const moment = (at, language) => formatter(language, { dateStyle: "medium", timeStyle: "medium" }).format(at);

export const dayKey = (at) => {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
};

/** 2026-11-21, in this place's time. */
export function isoDay(at) {
  const date = new Date(at);
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The heading of a day: today, yesterday, a weekday and date. */
export function day(at, now, language, words) {
  if (dayKey(at) === dayKey(now)) return words.today;
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (dayKey(at) === dayKey(before)) return words.yesterday;
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  const options = { weekday: "long", month: "long", day: "numeric", ...(sameYear ? {} : { year: "numeric" }) };
  return formatter(language, options).format(at);
}

/** Beside a conversation: the time today, the date before. */
export function when(at, now, language) {
  if (dayKey(at) === dayKey(now)) return clock(at, language);
  return formatter(language, { month: "short", day: "numeric" }).format(at);
}

/** What stands in somebody's circle: two Chinese characters, or two initials. */
export function initials(name) {
  const trimmed = name.trim();
  const han = [...trimmed].filter((c) => /\p{Script=Han}/u.test(c));
  if (han.length) return han.slice(-2).join("");
  const words = trimmed.split(/[\s._-]+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toLocaleUpperCase();
}

/** A hue for an id: the same person has the same colour everywhere, and others rarely have it. */
export function hue(id) {
  let sum = 7;
  for (const c of id.slice(0, 16)) sum = (Math.imul(sum, 31) + c.charCodeAt(0)) >>> 0;
  return (sum % 24) * 15;
}

const LINK = /\bhttps?:\/\/[^\s<>"'，。；：！？、（）【】《》「」]+/giu;
const TRAILING = /[.,;:!?)\]}'"]+$/u;

/**
 * A text as a list of parts: { text }, { link }, { code } (between single backquotes) and
 * { block } (between lines of three).
 */
export function parts(text) {
  const found = [];
  const blocks = text.split(/(?:^|\n)```[^\n]*\n?([\s\S]*?)\n?```(?:\n|$)/u);
  blocks.forEach((piece, i) => {
    if (i % 2) found.push({ block: piece });
    else if (piece) inline(piece, found);
  });
  return found;
}

function inline(text, found) {
  text.split(/`([^`\n]+)`/u).forEach((piece, i) => {
    if (i % 2) return found.push({ code: piece });
    let last = 0;
    for (const match of piece.matchAll(LINK)) {
      const link = match[0].replace(TRAILING, "");
      if (match.index > last) found.push({ text: piece.slice(last, match.index) });
      found.push({ link });
      last = match.index + link.length;
    }
    if (last < piece.length) found.push({ text: piece.slice(last) });
  });
}

/** Emoji alone, three at most, are shown large. */
export function isEmojiOnly(text) {
  const compact = text.replace(/\s/gu, "");
  if (!compact || compact.length > 40 || /[\p{L}\p{N}]/u.test(compact)) return false;
  const clusters = [...new Intl.Segmenter().segment(compact)];
  return clusters.length <= 3 && clusters.every(({ segment }) => /\p{Extended_Pictographic}|\p{Regional_Indicator}/u.test(segment));
}

/** A safety number in lines of four groups of five digits. */
export function numberLines(number) {
  const groups = number.replace(/\D/gu, "").match(/.{1,5}/gu) ?? [];
  return [0, 4, 8].map((at) => groups.slice(at, at + 4).join(" "));
}
