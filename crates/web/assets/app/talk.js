// A talk with one person: its head, its messages in a moving window, and the composer.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { html, Icon } from "./html.js";
import { clock, day, dayKey, duration, isEmojiOnly, moment, parts } from "./format.js";
import { isMuted, keyOf, lastSeqOf, talkOf } from "./state.js";
import { Circle, dotOf, presenceWord } from "./people.js";
import { Composer } from "./composer.js";
import { FileCard } from "./files.js";
import { droppedFiles } from "./uploads.js";

const EMOJI = ["👍", "❤️", "😂", "😮", "🙏", "🎉"];
const MARKS = { queued: "🕓", sent: "✓", delivered: "✓✓", read: "✓✓" };
/** This near to an edge of what is loaded more is loaded, in pixels. */
const NEAR_EDGE = 2000;
/** Loaded at once when an edge is near: few enough to be drawn within a frame. */
const PAGE = 40;
/** This near to its end a view stays there. */
const AT_END = 40;
/** A longer text, or one of more lines, may be higher than a window and scrolls by itself. */
const SHORT_MAX = 200;
const LINES_MAX = 8;

const isLong = (text) => text.length > SHORT_MAX || text.split("\n", LINES_MAX + 1).length > LINES_MAX;

function Text({ text }) {
  return parts(text).map((part, i) => {
    if (part.block !== undefined) return html`<pre key=${i}>${part.block}</pre>`;
    if (part.code !== undefined) return html`<code key=${i}>${part.code}</code>`;
    if (part.link !== undefined) return html`<a key=${i} href=${part.link} target="_blank" rel="noreferrer noopener">${part.link}</a>`;
    return part.text;
  });
}

function Reactions({ message, app, peer }) {
  const count = new Map();
  for (const { emoji, by } of message.reactions) count.set(emoji, [...(count.get(emoji) ?? []), by]);
  if (!count.size) return null;
  const toggle = (emoji, on) => app.act(app.api.post("messages", { to: peer.id, reaction: { target: message.id, emoji, on } }));
  return html`<span class="reactions">${[...count].map(([emoji, by]) => {
    const own = by.includes(app.state.me.id);
    return html`<button key=${emoji} class=${own ? "own" : ""} aria-pressed=${own} onClick=${() => toggle(emoji, !own)}>${emoji}${by.length > 1 ? ` ${by.length}` : ""}</button>`;
  })}</span>`;
}

function Actions({ message, app, peer, own }) {
  const { t } = app;
  const box = useRef();
  const [choosing, setChoosing] = useState(false);
  useEffect(() => {
    if (choosing) box.current.querySelector("button").focus();
  }, [choosing]);
  const react = (emoji) => {
    box.current.closest("li").focus();
    setChoosing(false);
    app.act(app.api.post("messages", { to: peer.id, reaction: { target: message.id, emoji, on: true } }));
  };
  const remove = () => app.confirm(t.removeSure, t.remove, () => app.api.post("messages", { to: peer.id, delete: message.id }));
  const begin = (type) => app.dispatch({ type, peer: peer.id, message });
  const copy = () => app.copy(message.text);
  const choices = [
    ["react", "smile", () => setChoosing(true)],
    ["reply", "reply", () => begin("reply")],
    message.text && ["copy", "copy", copy],
    own && message.kind === "text" && ["edit", "edit", () => begin("edit")],
    own && ["remove", "trash", remove],
  ].filter(Boolean);
  return html`<span ref=${box} class="actions" role="group" aria-label=${t.more}>${choosing
    ? EMOJI.map((emoji) => html`<button key=${emoji} onClick=${() => react(emoji)}>${emoji}</button>`)
    : choices.map(([word, icon, go]) => html`<button key=${word} onClick=${go} aria-label=${t[word]} title=${t[word]}><${Icon} name=${icon} /></button>`)}</span>`;
}

function Quote({ quote, app, peer }) {
  const { t } = app;
  const who = quote.from === app.state.me.id ? t.you : peer.name;
  const go = () => app.jump(peer.id, { id: quote.id });
  return html`<blockquote dir="auto" class=${quote.from ? "known" : ""} onClick=${quote.from && go}>${quote.from && html`<button class="link" onClick=${go} aria-label=${t.showQuoted}>${who}</button> `}${quote.text?.slice(0, 200) ?? t.notHere}</blockquote>`;
}

function Content({ message, app }) {
  const { t } = app;
  if (message.deleted) return html`<i class="gone">${t.deleted}</i>`;
  if (message.kind === "text") return html`<span class=${`text${isEmojiOnly(message.text) ? " large" : ""}${isLong(message.text) ? " long" : ""}`} dir="auto"><${Text} text=${message.text} /></span>`;
  if (message.kind === "file" && message.file) return html`<${FileCard} message=${message} app=${app} />`;
  if (message.kind === "call" && message.call) {
    const { outcome, duration_ms } = message.call;
    return html`<span class="text">📞 ${t.callOutcome[outcome]?.(duration(duration_ms), message.from === app.state.me.id) ?? t.call}</span>`;
  }
  return html`<i class="gone">${t.newer}</i>`;
}

function Message({ message, app, peer, first, marked, near }) {
  const { t, state } = app;
  const own = message.from === state.me.id;
  const mark = message.state === "queued" ? t.queued(peer.name) : t[message.state];
  return html`<li class=${`message ${own ? "own" : "theirs"}${first ? " first" : ""}${marked ? " marked" : ""}`} id=${`m-${message.id}`} tabindex="-1">
    ${!own && first && html`<${Circle} id=${peer.id} name=${peer.name} small />`}
    <div class="bubble">
      ${message.reply_to && html`<${Quote} quote=${message.reply_to} app=${app} peer=${peer} />`}
      <${Content} message=${message} app=${app} />
      <span class="meta">
        ${message.edited && !message.deleted && html`<span>${t.edited}</span>`}
        <time title=${moment(message.at, t.code)}>${clock(message.at, t.code)}</time>
        ${own && html`<span class=${`mark ${message.state}`} role="img" aria-label=${mark} title=${mark}>${MARKS[message.state]}</span>`}
      </span>
      ${own && message.state === "queued" && html`<span class="waits">${mark}</span>`}
      <${Reactions} message=${message} app=${app} peer=${peer} />
      ${near && !message.deleted && message.kind !== "call" && html`<${Actions} message=${message} app=${app} peer=${peer} own=${own} />`}
    </div>
  </li>`;
}

/**
 * Messages, with a heading where a day begins. `drawn` has the rows of the last time: one that is
 * given again is not looked into.
 */
function rows(messages, app, peer, { marked, near }, drawn) {
  const { t, now, state } = app;
  const out = [];
  const next = new Map();
  for (const [i, message] of messages.entries()) {
    const before = messages[i - 1];
    const newDay = !before || dayKey(before.at) !== dayKey(message.at);
    if (newDay) out.push(html`<li class="day" key=${`d${keyOf(message)}`}><span>${day(message.at, now, t.code, t)}</span></li>`);
    const first = newDay || before.from !== message.from || message.at - before.at > 300000;
    const what = [message, first, marked === message.id, near === message.id, state.transfers[message.id]];
    const known = drawn.rows.get(keyOf(message));
    const same = known?.what.every((part, at) => part === what[at]);
    const row = same ? known.row : html`<${Message} key=${keyOf(message)} message=${message} app=${app} peer=${peer} first=${first} marked=${marked === message.id} near=${near === message.id} />`;
    next.set(keyOf(message), { what, row });
    out.push(row);
  }
  drawn.rows = next;
  return out;
}

function Log({ app, peer, talk }) {
  const { t } = app;
  const { messages, focus } = talk;
  const box = useRef();
  const keep = useRef(null);
  const loading = useRef(false);
  const [far, setFar] = useState(false);
  const [marked, setMarked] = useState(null);
  // What can be done with a message is there for the one that was pointed at last, or has the focus.
  const [near, setNear] = useState(null);
  const pinned = useRef(talk.pinned);
  pinned.current = talk.pinned;

  /** Remembers where the first visible row stands, so that it stays there. */
  const hold = () => {
    const top = box.current.scrollTop;
    const row = [...box.current.querySelectorAll("li.message")].find((li) => li.offsetTop + li.offsetHeight > top);
    keep.current = row && { id: row.id, at: row.offsetTop - top };
  };
  const load = async (side) => {
    if (loading.current || !messages.length) return;
    loading.current = true;
    try {
      const end = side === "before" ? messages[0] : messages.at(-1);
      const page = await app.api.get("log", { peer: peer.id, [side]: end.id, limit: PAGE });
      if (box.current) hold();
      app.dispatch({ type: "page", side, peer: peer.id, messages: page, complete: page.length < PAGE });
    } catch (error) {
      app.fail(error);
    } finally {
      loading.current = false;
    }
  };
  const scroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const toEnd = scrollHeight - scrollTop - clientHeight;
    const atEnd = talk.latest && toEnd < AT_END;
    if (atEnd !== talk.pinned) app.dispatch({ type: "pin", peer: peer.id, pinned: atEnd });
    setFar(!talk.latest || toEnd > clientHeight);
    if (scrollTop < NEAR_EDGE && !talk.complete) load("before");
    else if (toEnd < NEAR_EDGE && !talk.latest) load("after");
  };
  useLayoutEffect(() => {
    const held = keep.current;
    keep.current = null;
    const row = held && document.getElementById(held.id);
    if (row) box.current.scrollTop = row.offsetTop - held.at;
    else if (talk.pinned) box.current.scrollTop = box.current.scrollHeight;
  }, [messages, talk.pinned]);
  useLayoutEffect(() => {
    if (!focus) return;
    document.getElementById(`m-${focus}`)?.scrollIntoView({ block: "center" });
    setMarked(focus);
    app.dispatch({ type: "focused", peer: peer.id });
  }, [focus]);
  useEffect(() => {
    // Pictures, reactions and the composer change heights later.
    const watch = new ResizeObserver(() => {
      if (pinned.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    });
    watch.observe(box.current);
    watch.observe(box.current.querySelector("ol"));
    return () => watch.disconnect();
  }, []);
  // A page may be too short to scroll.
  useEffect(scroll, [messages]);
  const pointAt = (element) => setNear(element.closest("li.message")?.id.slice(2) ?? null);
  const point = (event) => pointAt(event.target);
  const leave = ({ currentTarget, relatedTarget }) => relatedTarget && !currentTarget.contains(relatedTarget) && !relatedTarget.closest("dialog") && pointAt(document.activeElement);
  /** The arrows go from message to message, and at the end, as Escape, to where one is written. */
  const key = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if ((event.key !== "Escape" && !step) || event.target.closest("dialog, .long")) return;
    const from = event.target.closest("li.message");
    const all = [...box.current.querySelectorAll("li.message")];
    const end = box.current.scrollTop + box.current.clientHeight;
    const next = from ? all[all.indexOf(from) + step] : all.findLast((row) => row.offsetTop < end);
    event.preventDefault();
    if (next && step) next.focus();
    else if (step !== -1) document.querySelector("textarea").focus();
  };
  const toLatest = () => (talk.latest ? app.dispatch({ type: "pin", peer: peer.id, pinned: true }) : app.loadTalk(peer.id));
  const drawn = useMemo(() => ({ rows: new Map() }), [t, peer.name]);
  const list = useMemo(() => rows(messages, app, peer, { marked, near }, drawn), [messages, marked, near, drawn, app.state.transfers, app.minute]);
  return html`<div class="log" ref=${box} onScroll=${scroll} tabindex="0" onKeyDown=${key} role="log" aria-label=${t.logOf(peer.name)} aria-busy=${!talk.loaded}>
    ${talk.loaded && messages.length === 0 && html`<p class="hint">${t.empty}</p>`}
    <ol onMouseMove=${point} onFocusIn=${point} onMouseLeave=${leave} onFocusOut=${leave}>${list}</ol>
    ${far && html`<button class="latest" onClick=${toLatest} aria-label=${t.latest} title=${t.latest}><${Icon} name="down" /></button>`}
  </div>`;
}

function Banner({ app, peer }) {
  const { t } = app;
  if (peer.request) {
    return html`<div class="banner" role="alert"><b>${t.requestTitle(peer.name)}</b><p>${t.requestHint}</p>
      <div class="buttons"><button class="primary" onClick=${() => app.act(app.api.post(`peers/${peer.id}/accept`))}>${t.accept}</button>
      <button onClick=${() => app.act(app.api.post(`peers/${peer.id}/forget`))}>${t.decline}</button>
      <button class="danger" onClick=${() => app.confirm(t.blockSure(peer.name), t.block, () => app.api.post(`peers/${peer.id}/block`))}>${t.block}</button></div></div>`;
  }
  if (peer.impostor) {
    return html`<div class="banner warning" role="alert"><b>${t.impostorTitle}</b><p>${t.impostorHint(peer.name)}</p>
      <div class="buttons"><button onClick=${() => app.open({ kind: "verify", peer: peer.id })}>${t.verify}</button>
      <button onClick=${() => app.act(app.api.post(`peers/${peer.id}/keep-name`))}>${t.keepName}</button></div></div>`;
  }
  return null;
}

/** Opens below its button, and closes when something in it was chosen or the focus goes away. */
function Menu({ label, children }) {
  const box = useRef();
  const close = () => { box.current.open = false; };
  const leave = (event) => box.current.contains(event.relatedTarget) || close();
  const key = (event) => {
    if (event.key !== "Escape") return;
    close();
    box.current.querySelector("summary").focus();
  };
  return html`<details ref=${box} class="menu" onFocusOut=${leave}>
    <summary aria-label=${label} title=${label}><${Icon} name="more" /></summary><div onClick=${close}>${children}</div></details>`;
}

function Head({ app, peer }) {
  const { t, now } = app;
  const muted = isMuted(app.state, peer.id);
  const busy = Object.values(app.state.calls).some((call) => call.peer === peer.id);
  return html`<header class="head">
    <button class="back plain" onClick=${() => app.select(null)} aria-label=${t.back}><${Icon} name="back" /></button>
    <${Circle} id=${peer.id} name=${peer.name} state=${dotOf(peer)} />
    <div class="who"><h1>${peer.name} <small>~${peer.tag}</small></h1>
      <span>${presenceWord(peer, t, now)} · <button class="link" onClick=${() => app.open({ kind: "verify", peer: peer.id })}>${peer.verified ? `✓ ${t.verified}` : t.notVerified}</button></span></div>
    <button onClick=${() => app.act(app.api.post("calls", { peer: peer.id }))} disabled=${busy || !peer.contact}><${Icon} name="phone" /> <span class="wide">${t.call}</span></button>
    <${Menu} label=${t.more}>
      <button onClick=${() => app.open({ kind: "goto", peer: peer.id })}>${t.goto}</button>
      <button onClick=${() => app.open({ kind: "verify", peer: peer.id })}>${t.verify}</button>
      <button onClick=${() => app.mute(peer.id, !muted)}>${muted ? t.unmutePerson : t.mutePerson}</button>
      <button onClick=${() => app.open({ kind: "doctor", peer: peer.id })}>${t.doctor}</button>
      <button class="danger" onClick=${() => app.confirm(t.blockSure(peer.name), t.block, () => app.api.post(`peers/${peer.id}/block`))}>${t.block}</button>
      <button class="danger" onClick=${() => app.confirm(t.forgetSure(peer.name), t.forget, () => app.api.post(`peers/${peer.id}/forget`))}>${t.forget}</button>
    <//>
  </header>`;
}

export function Talk({ app, peer }) {
  const { state, t } = app;
  const talk = talkOf(state, peer.id);
  useEffect(() => {
    if (!talk.loaded) app.loadTalk(peer.id);
  }, [peer.id, state.online, talk.loaded]);
  // What is on screen of a visible page was read.
  useEffect(() => {
    const tell = () => {
      const seq = lastSeqOf(talk.messages, peer.id);
      if (document.visibilityState !== "visible" || !document.hasFocus() || !peer.unread || !seq || peer.request || !talk.latest) return;
      app.dispatch({ type: "read", peer: peer.id });
      app.quietly(app.api.post(`peers/${peer.id}/read`, { seq }));
    };
    tell();
    document.addEventListener("visibilitychange", tell);
    addEventListener("focus", tell);
    return () => {
      document.removeEventListener("visibilitychange", tell);
      removeEventListener("focus", tell);
    };
  }, [talk.messages, peer.unread, peer.id]);
  const [over, setOver] = useState(false);
  const drag = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    setOver(event.type === "dragover");
    if (event.type !== "drop") return;
    const { files, folders } = droppedFiles(event.dataTransfer);
    if (folders) app.tell(t.noFolders);
    app.attach(peer.id, files);
  };
  const leave = (event) => event.currentTarget.contains(event.relatedTarget) || setOver(false);
  return html`<main class=${over ? "talk over" : "talk"} data-drop=${t.dropHere} onDragOver=${drag} onDrop=${drag} onDragLeave=${leave}>
    <${Head} app=${app} peer=${peer} />
    <${Banner} app=${app} peer=${peer} />
    <${Log} key=${peer.id} app=${app} peer=${peer} talk=${talk} />
    <div class="typing" aria-live="polite">${peer.typing ? t.typing(peer.name) : ""}</div>
    <${Composer} key=${`c${peer.id}`} app=${app} peer=${peer} talk=${talk} />
  </main>`;
}
