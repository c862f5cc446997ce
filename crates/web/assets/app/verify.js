// Whether somebody is who they say: the safety number, as digits and as a picture.
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "./dialog.js";
import { numberLines } from "./format.js";
import { html } from "./html.js";
import { qrPath, SIDE } from "./qr.js";

/** Modules of quiet around a QR code, as ISO/IEC 18004 wants. */
const QUIET = 4;

export function Verify({ app, dialog }) {
  const { t, state } = app;
  const peer = state.peers[dialog.peer];
  const name = peer?.name ?? "";
  const [number, setNumber] = useState(null);
  const [theirs, setTheirs] = useState("");
  useEffect(() => {
    app.api.get(`peers/${dialog.peer}/verify`).then(setNumber, (error) => app.fail(error));
  }, [dialog.peer]);
  const compare = async (with_) => {
    try {
      setNumber(await app.api.post(`peers/${dialog.peer}/verify`, { number: with_ }));
      app.tell(t.safetyDone(name));
    } catch (error) {
      app.fail(error);
    }
  };
  return html`<${Dialog} app=${app} title=${t.safety + t.colon + name} wide>
    ${peer?.impostor && html`<p class="bad" role="alert">${t.impostorHint(name)}</p>`}
    <p>${t.safetyHint(name)}</p>
    <div class="safety">
      <pre class="number">${number ? numberLines(number.safety_number).join("\n") : "…"}</pre>
      ${number && html`<figure><svg class="qr" viewBox=${`${-QUIET} ${-QUIET} ${SIDE + 2 * QUIET} ${SIDE + 2 * QUIET}`} role="img" aria-label=${t.safetyQr}><path d=${qrPath(number.safety_number.replace(/\D/gu, ""))} /></svg></figure>`}
    </div>
    <p class="hint">${t.safetyQrHint(name)}</p>
    ${number?.verified
      ? html`<p class="good">✓ ${t.safetyDone(name)}</p>`
      : html`<form class="line" onSubmit=${(event) => { event.preventDefault(); compare(theirs); }}>
          <input value=${theirs} onInput=${(event) => setTheirs(event.target.value)} placeholder=${t.safetyTheirs} aria-label=${t.safetyTheirs} />
          <button disabled=${!theirs.trim()}>${t.compare}</button></form>
        <div class="buttons end"><button onClick=${() => app.close()}>${t.notNow}</button><button class="primary" disabled=${!number} onClick=${() => compare(number.safety_number)}>${t.same}</button></div>`}
  <//>`;
}
