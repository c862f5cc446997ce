// Where a message is written. A draft is kept for each talk, whatever happens to the page.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { sends } from "./sends.js";

const TYPING_EVERY_MS = 4000;
const TEXT_BYTES_MAX = 32 * 1024;

const key = (peer) => `hallway.draft.${peer}`;

export function Composer({ app, peer, talk }) {
  const { t } = app;
  const { editing, replying } = talk;
  const [text, setText] = useState(() => localStorage.getItem(key(peer.id)) ?? "");
  const area = useRef();
  const typedAt = useRef(0);
  useEffect(() => {
    if (editing) setText(editing.text);
    if (editing || replying) area.current.focus();
  }, [editing, replying]);
  useLayoutEffect(() => {
    const { style } = area.current;
    style.height = "auto";
    style.height = `${Math.min(area.current.scrollHeight, 200)}px`;
  }, [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) area.current.focus();
  }, []);

  const change = (event) => {
    const now = event.target.value;
    setText(now);
    if (!editing) {
      if (now) localStorage.setItem(key(peer.id), now);
      else localStorage.removeItem(key(peer.id));
    }
    if (now && peer.state === "live" && Date.now() - typedAt.current > TYPING_EVERY_MS) {
      typedAt.current = Date.now();
      app.quietly(app.api.post(`peers/${peer.id}/typing`));
    }
  };
  const leave = () => {
    app.dispatch({ type: "written", peer: peer.id });
    setText(editing ? (localStorage.getItem(key(peer.id)) ?? "") : text);
  };
  const send = async () => {
    const said = text.trim();
    if (!said) return;
    if (new TextEncoder().encode(said).length > TEXT_BYTES_MAX) return app.tell(t.failed("> 32 KiB"));
    const request = { to: peer.id, text: said, client_id: crypto.randomUUID() };
    if (editing) request.edit = editing.id;
    if (replying) request.reply_to = replying.id;
    const before = text;
    setText(editing ? (localStorage.getItem(key(peer.id)) ?? "") : "");
    app.dispatch({ type: "written", peer: peer.id });
    try {
      await app.api.post("messages", request);
      if (!editing && localStorage.getItem(key(peer.id)) === before) localStorage.removeItem(key(peer.id));
    } catch (error) {
      setText((now) => now || before);
      app.fail(error);
    }
  };
  const keyDown = (event) => {
    if (sends(event)) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && (editing || replying)) {
      leave();
    } else if (event.key === "ArrowUp" && !text && !editing) {
      const own = talk.messages.findLast((message) => message.from === app.state.me.id && message.kind === "text" && !message.deleted);
      if (own) {
        event.preventDefault();
        app.dispatch({ type: "edit", peer: peer.id, message: own });
      }
    }
  };
  const about = editing ?? replying;
  return html`<form class="composer" onSubmit=${(event) => { event.preventDefault(); send(); }}>
    ${about && html`<div class="about">
      <span><b>${editing ? t.editing : t.replyTo(about.from === app.state.me.id ? t.you : peer.name)}</b> ${about.text?.slice(0, 160)}</span>
      <button type="button" onClick=${leave} aria-label=${t.cancel}>✕</button>
    </div>`}
    <div class="line">
      <textarea ref=${area} rows="1" value=${text} onInput=${change} onKeyDown=${keyDown}
        aria-label=${t.message(peer.name)} placeholder=${t.message(peer.name)} title=${t.composerHint} dir="auto"></textarea>
      <button class="primary" disabled=${!text.trim()}>${t.send}</button>
    </div>
  </form>`;
}
