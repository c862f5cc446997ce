// A file in a talk: what it is, how far it has come, and what can be done with it.
import { useEffect, useRef, useState } from "preact/hooks";
import { html, Icon } from "./html.js";
import { percent, size } from "./format.js";
import { alsoOf } from "./state.js";
import { choices, isOpen, standing } from "./transfers.js";

/** Small pictures that are kept: more than are ever mounted at once. */
const SMALL_MAX = 400;
/** A picture over this size is opened by the desktop, not held in this page. */
const SHOWN_BYTES_MAX = 64 * 1000 * 1000;
/** What these are, the node knows by their bytes. */
const SHOWN = ["image/png", "image/jpeg", "image/gif", "image/webp"];

const ending = (name) => (/\.([\p{L}\p{N}]{1,5})$/u.exec(name)?.[1] ?? "").toLowerCase();

/** What stands for a file: the end of its name, or a drawing. */
function Kind({ name, folder }) {
  const end = folder ? "" : ending(name);
  return html`<span class="kind" aria-hidden="true">${end || html`<${Icon} name=${folder ? "folder" : "file"} />`}</span>`;
}

const small = new Map();

/** The address of a transfer's small picture, as a promise that is shared by all who show it. */
function smallOf(api, id) {
  if (!small.has(id)) {
    const made = api.blob(`files/${id}/thumbnail`).then((blob) => URL.createObjectURL(blob));
    small.set(id, made);
    // It may be there after the next break.
    made.catch(() => small.delete(id));
    if (small.size > SMALL_MAX) {
      const [oldest, address] = small.entries().next().value;
      small.delete(oldest);
      address.then(URL.revokeObjectURL, () => {});
    }
  }
  return small.get(id);
}

/** An address that is made when this is shown and let go when it no longer is. */
function useAddress(make, key) {
  const [address, setAddress] = useState(null);
  useEffect(() => {
    let gone = false;
    make().then((made) => gone || setAddress(made), () => {});
    return () => { gone = true; };
  }, [key]);
  return address;
}

/** A small picture. It is enlarged at once, and the whole one takes its place once it is loaded. */
function Picture({ app, message, whole }) {
  const address = useAddress(() => smallOf(app.api, message.id), message.id);
  const [open, setOpen] = useState(false);
  const { name } = message.file;
  const picture = address && html`<img src=${address} alt=${name} decoding="async" draggable="false" />`;
  return html`<span class="picture"><button onClick=${() => setOpen(true)} aria-label=${app.t.enlarge(name)}>${picture}</button></span>
    ${open && html`<${Viewer} app=${app} message=${message} small=${address} whole=${whole} close=${() => setOpen(false)} />`}`;
}

/** A picture as large as the window allows. */
function Viewer({ app, message, small: address, whole: there, close }) {
  const { t, api } = app;
  const { file, id } = message;
  const mine = message.from === app.state.me.id;
  const box = useRef();
  const [whole, setWhole] = useState(null);
  const [lost, setLost] = useState(!there);
  useEffect(() => {
    box.current.showModal();
    if (!there) return undefined;
    let made = null;
    let gone = false;
    api.blob(`files/${id}/content?inline=true`).then((blob) => {
      if (gone) return;
      made = URL.createObjectURL(blob);
      setWhole(made);
    // What we have sent may not be where it was any more: then the small one stays.
    }, (error) => gone || (mine ? setLost(true) : app.fail(error)));
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, []);
  return html`<dialog ref=${box} class="viewer" aria-label=${file.name} onClose=${close} onClick=${() => box.current.close()}>
    <img src=${whole ?? address} alt=${file.name} />
    <footer onClick=${(event) => event.stopPropagation()}><span dir="auto">${file.name} · ${size(file.bytes)}${lost ? ` · ${t.onlyPreview}` : ""}</span>
      ${whole && html`<button onClick=${() => save(app, message)}>${t.saveAs}</button>`}
      <button onClick=${() => box.current.close()} autofocus>${t.close}</button></footer>
  </dialog>`;
}

/** A copy of what has arrived where the browser's user wants it. */
async function save(app, { id, file }) {
  const path = `files/${id}/content`;
  try {
    if (globalThis.showSaveFilePicker) {
      const target = await globalThis.showSaveFilePicker({ suggestedName: file.name });
      const reply = await app.api.request("GET", path);
      return await reply.body.pipeTo(await target.createWritable());
    }
    const address = URL.createObjectURL(await app.api.blob(path));
    const link = Object.assign(document.createElement("a"), { href: address, download: file.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  } catch (error) {
    // Whoever closes the choice of a place wants none.
    if (error.name !== "AbortError") app.fail(error);
  }
  return undefined;
}

export function FileCard({ message, app }) {
  const { t, state, api } = app;
  const transfer = state.transfers[message.id];
  const { file } = message;
  const act = (what) => {
    if (what === "save") return save(app, message);
    if (what === "again") return app.act(api.post("files", { to: message.to, path: transfer.path }));
    if (what === "open" || what === "folder") return app.act(api.post(`files/${message.id}/open`, { folder: what === "folder" }));
    return app.act(api.post(`files/${message.id}/${what}`, what === "accept" ? {} : undefined));
  };
  const moving = isOpen(transfer) && transfer.state !== "offered" && file.bytes > 0;
  const here = transfer && (transfer.incoming ? transfer.state === "done" : transfer.path);
  const whole = here && SHOWN.includes(file.media_type) && file.bytes <= SHOWN_BYTES_MAX;
  return html`<div class="file">
    ${file.thumbnail && html`<${Picture} app=${app} message=${message} whole=${whole} />`}
    <${Kind} name=${file.name} folder=${file.folder} />
    <span class="about"><b dir="auto" title=${transfer?.state === "done" ? transfer.path : null}>${file.name}</b>
      <span>${standing(file, transfer, t)}</span>
      ${moving && html`<progress max=${file.bytes} value=${transfer.moved} aria-label=${file.name}></progress>`}
    </span>
    <span class="buttons">${choices(file, transfer, t).map(([what, word]) =>
      html`<button key=${what} class=${what === "accept" ? "primary" : ""} onClick=${() => act(what)}>${word}</button>`)}</span>
  </div>`;
}

/** Files that wait in the composer, with a look at what they are. */
export function Attached({ app, peer, files }) {
  const { t } = app;
  if (!files.length) return null;
  const also = alsoOf(app.state, peer.id).map((id) => app.state.peers[id]?.name ?? "?");
  return html`<ul class="attached" aria-label=${t.attached(files.length)}>${files.map((attached) => html`<li key=${attached.id}>
    <${Preview} file=${attached.file} />
    <span class="about"><b dir="auto">${attached.name}</b><span>${size(attached.file.size)}</span></span>
    <button type="button" onClick=${() => app.dispatch({ type: "detach", peer: peer.id, id: attached.id })} aria-label=${`${t.removeFile}: ${attached.name}`}><${Icon} name="close" /></button>
  </li>`)}<li class="also"><button type="button" onClick=${() => app.open({ kind: "also", peer: peer.id })}><${Icon} name="people" /> ${also.length ? t.alsoTo(also) : t.also}</button></li></ul>`;
}

function Preview({ file }) {
  const [address, setAddress] = useState(null);
  useEffect(() => {
    if (!SHOWN.includes(file.type)) return undefined;
    const made = URL.createObjectURL(file);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return address ? html`<img src=${address} alt="" />` : html`<${Kind} name=${file.name} />`;
}

/** Files on their way from this page to the node. */
export function Uploads({ app, peer }) {
  const { t } = app;
  const own = app.state.uploads.filter((upload) => upload.peer === peer.id);
  if (!own.length) return null;
  return html`<ul class="attached">${own.map((upload) => html`<li key=${upload.key}>
    <span class="about"><b dir="auto">${upload.name}</b><span>${t.uploading(percent(upload.sent, upload.bytes))}</span>
      <progress max=${upload.bytes || 1} value=${upload.sent} aria-label=${upload.name}></progress></span>
    <button type="button" onClick=${() => app.uploads.cancel(upload.key)} aria-label=${`${t.cancel}: ${upload.name}`}><${Icon} name="close" /></button>
  </li>`)}</ul>`;
}
