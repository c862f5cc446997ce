// Where a message is written. A draft is kept for each talk, whatever happens to the page.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html, Icon } from "./html.js";
import { Attached, Uploads } from "./files.js";
import { alsoOf, attachedOf } from "./state.js";
import { pastedFiles, pastedName } from "./uploads.js";
import { draftOf, keepDraft, sends } from "./writing.js";

const TYPING_EVERY_MS = 4000;
const TEXT_BYTES_MAX = 32 * 1024;

export function Composer({ app, peer, talk }) {
  const { t } = app;
  const { editing, replying } = talk;
  const [text, setText] = useState(() => draftOf(peer.id));
  const area = useRef();
  const chooser = useRef();
  const attached = editing ? [] : attachedOf(app.state, peer.id);
  const typedAt = useRef(0);
  const failed = useRef(null);
  useEffect(() => {
    if (editing) setText(editing.text);
    if (editing || replying) area.current.focus();
  }, [editing, replying]);
  useLayoutEffect(() => {
    const { style } = area.current;
    style.height = "auto";
    const { scrollHeight, offsetHeight, clientHeight } = area.current;
    // Without its border it would scroll.
    style.height = `${Math.min(scrollHeight + offsetHeight - clientHeight, 200)}px`;
  }, [text]);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) area.current.focus();
  }, []);

  const change = (event) => {
    const now = event.target.value;
    setText(now);
    if (!editing) keepDraft(peer.id, now);
    if (now && peer.state === "live" && Date.now() - typedAt.current > TYPING_EVERY_MS) {
      typedAt.current = Date.now();
      app.quietly(app.api.post(`peers/${peer.id}/typing`));
    }
  };
  const leave = () => {
    app.dispatch({ type: "written", peer: peer.id });
    setText(editing ? draftOf(peer.id) : text);
  };
  const paste = (event) => {
    const files = pastedFiles(event.clipboardData);
    if (!files.length || editing) return;
    event.preventDefault();
    // A picture without a file has this name in every browser.
    app.attach(peer.id, files, (file) => (file.name === "image.png" ? pastedName(t.pasted, file.type, new Date()) : file.name));
  };
  const choose = (event) => {
    app.attach(peer.id, [...event.target.files]);
    event.target.value = "";
    area.current.focus();
  };
  const send = async () => {
    const said = text.trim();
    if (attached.length) {
      app.dispatch({ type: "detach", peer: peer.id });
      app.uploads.send([peer.id, ...alsoOf(app.state, peer.id)], attached);
      app.dispatch({ type: "also", peer: peer.id, ids: [] });
    }
    if (!said) return;
    if (new TextEncoder().encode(said).length > TEXT_BYTES_MAX) return app.tell(t.tooLong);
    // What is sent again after a failure may have come through the first time.
    const what = [said, editing?.id, replying?.id].join(" ");
    const id = failed.current?.what === what ? failed.current.id : crypto.randomUUID();
    const request = { to: peer.id, text: said, client_id: id };
    if (editing) request.edit = editing.id;
    if (replying) request.reply_to = replying.id;
    const before = text;
    setText(editing ? draftOf(peer.id) : "");
    typedAt.current = 0;
    app.dispatch({ type: "written", peer: peer.id });
    try {
      await app.api.post("messages", request);
      failed.current = null;
      if (!editing && draftOf(peer.id) === before) keepDraft(peer.id, "");
    } catch (error) {
      failed.current = { what, id };
      if (editing) app.dispatch({ type: "edit", peer: peer.id, message: { ...editing, text: before } });
      else setText((now) => now || before);
      if (replying) app.dispatch({ type: "reply", peer: peer.id, message: replying });
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
      <button type="button" onClick=${leave} aria-label=${t.cancel}><${Icon} name="close" /></button>
    </div>`}
    <${Uploads} app=${app} peer=${peer} />
    <${Attached} app=${app} peer=${peer} files=${attached} />
    <div class="line">
      <input ref=${chooser} type="file" multiple hidden onChange=${choose} />
      <button type="button" disabled=${Boolean(editing)} onClick=${() => chooser.current.click()} aria-label=${t.attach} title=${t.attach}><${Icon} name="attach" /></button>
      <textarea ref=${area} rows="1" value=${text} onInput=${change} onKeyDown=${keyDown} onPaste=${paste}
        aria-label=${t.message(peer.name)} placeholder=${t.message(peer.name)} title=${t.composerHint} dir="auto"></textarea>
      <button class="primary" disabled=${!text.trim() && !attached.length}>${t.send}</button>
    </div>
  </form>`;
}
