// Calls: the bar above a talk while one runs, and what rings.
import { html, Icon } from "./html.js";
import { duration } from "./format.js";
import { useEffect, useRef, useState } from "preact/hooks";

/** -60 dBFS is nothing, 0 is full. */
const share = (dbfs) => Math.max(0, Math.min(1, (dbfs + 60) / 60));

function Meter({ level, label, icon }) {
  return html`<${Icon} name=${icon} /><span class="meter" role="meter" title=${label} aria-label=${label} aria-valuemin="-60" aria-valuemax="0" aria-valuenow=${Math.round(level ?? -60)}><i style=${{ "--level": share(level ?? -60) }}></i></span>`;
}

/** Time goes on between two events. */
function useSeconds(call) {
  const [since, setSince] = useState([call.duration_ms, performance.now()]);
  const [, tick] = useState(0);
  useEffect(() => setSince([call.duration_ms, performance.now()]), [call.duration_ms, call.state]);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return call.state === "active" ? since[0] + performance.now() - since[1] : 0;
}

function Call({ call, app }) {
  const { t, state } = app;
  const name = state.peers[call.peer]?.name ?? "?";
  const levels = state.levels[call.id];
  const talked = useSeconds(call);
  const act = (what, body) => app.act(app.api.post(`calls/${call.id}/${what}`, body));
  const talking = useRef(false);
  const push = (on) => {
    if (talking.current === on) return;
    talking.current = on;
    act("push-to-talk", { on });
  };
  // Space on the button holds it as a finger does; it repeats while it is down.
  const key = (on) => (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    push(on);
  };
  if (call.state !== "active") {
    const incoming = call.direction === "incoming";
    const said = incoming ? t.incoming(name) : call.state === "ringing" ? t.ringing(name) : t.calling(name);
    return html`<div class="call ringing" role="alertdialog" aria-label=${said}>
      <b><${Icon} name="phone" /> ${said}</b><span class="space"></span>
      ${incoming && html`<button class="primary" onClick=${() => act("answer")}>${t.answer}</button>`}
      <button class="danger" onClick=${() => act("hang-up")}>${incoming ? t.decline : t.hangUp}</button>
    </div>`;
  }
  const { stats } = call;
  const numbers = stats && `${stats.mouth_to_ear_ms ? `${Math.round(stats.mouth_to_ear_ms)} ms · ` : ""}${t.lost(`${(stats.loss * 100).toFixed(stats.loss < 0.1 ? 1 : 0)} %`)}`;
  return html`<div class="call" role="region" aria-label=${`${t.call}: ${name}`}>
    <b>${name}</b> <span>${duration(talked)}</span>
    <${Meter} level=${levels?.microphone_dbfs} label=${t.you} icon="mic" /><${Meter} level=${levels?.speaker_dbfs} label=${name} icon="speaker" />
    ${stats && html`<span class=${`quality ${stats.quality}`} title=${numbers}>${t.quality[stats.quality]} · ${numbers}</span>`}
    ${call.held_by_them && html`<span>${t.heldByThem}</span>`}
    ${call.muted_by_them && html`<span>${t.mutedByThem}</span>`}
    <span class="space"></span>
    <button aria-pressed=${call.muted} onClick=${() => act("mute", { on: !call.muted })}><${Icon} name=${call.muted ? "micOff" : "mic"} /> ${call.muted ? t.unmute : t.mute}</button>
    ${(call.muted || talking.current) && html`<button class="push" onPointerDown=${() => push(true)} onPointerUp=${() => push(false)} onPointerLeave=${() => push(false)}
      onPointerCancel=${() => push(false)} onKeyDown=${key(true)} onKeyUp=${key(false)} onBlur=${() => push(false)} aria-pressed=${!call.muted}>${t.talk}</button>`}
    <button aria-pressed=${call.held} onClick=${() => act("hold", { on: !call.held })}>${call.held ? t.resume : t.hold}</button>
    <button onClick=${() => app.open({ kind: "settings" })} aria-label=${t.devices} title=${t.devices}><${Icon} name="gear" /></button>
    <button class="danger" onClick=${() => act("hang-up")}>${t.hangUp}</button>
  </div>`;
}

export function CallBar({ app }) {
  return Object.values(app.state.calls).map((call) => html`<${Call} key=${call.id} call=${call} app=${app} />`);
}
