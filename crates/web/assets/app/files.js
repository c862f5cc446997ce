// A file in a talk: what it is, how far it has come, and what can be done with it.
import { html } from "./html.js";
import { duration, size } from "./format.js";

const ending = (name) => (/\.([\p{L}\p{N}]{1,5})$/u.exec(name)?.[1] ?? "📄").toLowerCase();

export function FileCard({ message, app }) {
  const { t, state } = app;
  const transfer = state.transfers[message.id];
  const { file } = message;
  const act = (what) => app.act(app.api.post(`files/${message.id}/${what}`, what === "accept" ? {} : undefined));
  const button = (what, word, kind = "") => html`<button class=${kind} onClick=${() => act(what)}>${word}</button>`;
  const now = transfer?.state;
  const moving = now && now !== "done" && file.bytes > 0;
  return html`<div class="file">
    <span class="kind" aria-hidden="true">${file.folder ? "📁" : ending(file.name)}</span>
    <span class="about"><b dir="auto">${file.name}</b>
      <span>${moving && transfer.moved > 0 ? `${size(transfer.moved)} / ` : ""}${size(file.bytes)}${file.folder ? ` · ${t.fileCount(file.files)}` : ""}
        ${now && ` · ${t.fileState[now] ?? now}`}${transfer?.rate ? ` · ${size(transfer.rate)}/s` : ""}${transfer?.left_ms ? ` · ${t.left(duration(transfer.left_ms))}` : ""}</span>
      ${moving && html`<progress max=${file.bytes} value=${transfer.moved} aria-label=${file.name}></progress>`}
    </span>
    <span class="buttons">
      ${transfer?.incoming && now === "offered" && html`${button("accept", t.accept, "primary")}${button("decline", t.decline)}`}
      ${now === "running" && button("pause", t.pause)}
      ${now === "paused_by_us" && button("resume", t.resume)}
      ${now && ["offered", "running", "waiting_for_turn", "waiting_for_peer", "waiting_for_room", "paused_by_us", "paused_by_them"].includes(now) && !(transfer.incoming && now === "offered") && button("cancel", t.cancel)}
    </span>
  </div>`;
}
