// The left side: who we are, search, and everybody in three lists.
import { html, Icon } from "./html.js";
import { hue, initials, when } from "./format.js";
import { ambiguous, isMuted, people, talkOf } from "./state.js";
import { draftOf } from "./writing.js";

export function Circle({ id, name, state, small }) {
  return html`<span class=${`circle${small ? " small" : ""}`} style=${{ "--hue": hue(id) }} aria-hidden="true">
    ${initials(name)}${state && html`<i class=${`dot ${state}`}></i>`}
  </span>`;
}

/** What shows how somebody is: live people as they say, others by where they are. */
export const dotOf = (peer) => (peer.state === "live" ? peer.status : peer.state);

export function presenceWord(peer, t, now) {
  if (peer.state === "live") return peer.status === "available" ? t.live : t[peer.status];
  if (peer.state === "nearby") return t.nearbyState;
  return peer.last_seen ? t.lastSeen(when(peer.last_seen, now, t.code)) : t.offline;
}

/** The last word of a talk in one line. */
export function lineOf(message, me, t) {
  if (!message) return "";
  const own = message.from === me ? t.you + t.colon : "";
  if (message.deleted) return t.deleted;
  if (message.kind === "text") return own + message.text.replace(/\s+/gu, " ").slice(0, 120);
  if (message.kind === "file" && message.file) return `${own}📎 ${message.file.name}`;
  if (message.kind === "call" && message.call) return t.callOutcome[message.call.outcome]?.("", message.from === me).replace(/[,\s]+$/u, "") ?? t.call;
  return t.newer;
}

function Row({ peer, app, twins }) {
  const { state, t, now } = app;
  const { last } = talkOf(state, peer.id);
  const draft = state.selected !== peer.id && draftOf(peer.id);
  const muted = isMuted(state, peer.id);
  const line = draft ? html`<em>${t.draft}</em> ${draft.slice(0, 120)}` : lineOf(last, state.me.id, t) || presenceWord(peer, t, now);
  return html`<li>
    <button class=${`person${state.selected === peer.id ? " selected" : ""}`} onClick=${() => app.select(peer.id)}
      aria-current=${state.selected === peer.id ? "true" : undefined}>
      <${Circle} id=${peer.id} name=${peer.name} state=${dotOf(peer)} />
      <span class="who">
        <b>${peer.name}${twins.has(peer.name) && html` <small>~${peer.tag}</small>`}${peer.verified && html` <span class="badge" title=${t.verified}>✓</span>`}<span class="said">, ${presenceWord(peer, t, now)}</span>${peer.impostor && html` <span class="warn"><${Icon} name="warn" /></span>`}${muted && html` <small><${Icon} name="bellOff" /></small>`}</b>
        <span class="last">${peer.typing ? t.typing(peer.name) : line}</span>
      </span>
      <span class="aside">
        ${last && html`<time>${when(last.at, now, t.code)}</time>`}
        ${peer.unread > 0 && html`<span class=${muted ? "count muted" : "count"}>${peer.unread > 99 ? "99+" : peer.unread}<span class="said"> ${t.unreadWord}</span></span>`}
      </span>
    </button>
  </li>`;
}

export function People({ app }) {
  const { state, t } = app;
  const lists = people(state);
  const twins = ambiguous(state);
  const sections = [["requests", t.requests], ["contacts", t.contacts], ["nearby", t.nearby]];
  const none = sections.every(([key]) => lists[key].length === 0);
  return html`<nav class="people" aria-label=${t.people}>
    <header class="mine">
      <button class="person" onClick=${() => app.open({ kind: "settings" })} title=${t.settings}>
        <${Circle} id=${state.me.id} name=${state.me.name} state=${state.online ? state.me.status : "offline"} />
        <span class="who"><b>${state.me.name}</b><span class="last">${t[state.me.status]}</span></span>
        <span class="aside"><${Icon} name="gear" /><span class="said">${t.settings}</span></span>
      </button>
    </header>
    <button class="search" onClick=${() => app.open({ kind: "search" })}><${Icon} name="search" /> ${t.searchHint}</button>
    <div class="lists">
      ${sections.map(([key, title]) => lists[key].length > 0 && html`<section key=${key} aria-label=${title}>
        ${(key !== "contacts" || lists.requests.length > 0) && html`<h2>${title}</h2>`}
        <ul>${lists[key].map((peer) => html`<${Row} key=${peer.id} peer=${peer} app=${app} twins=${twins} />`)}</ul>
      </section>`)}
      ${none && html`<div class="nobody"><b>${t.nobody}</b><p>${t.nobodyHint}</p></div>`}
    </div>
    <footer><button class="link" onClick=${() => app.open({ kind: "doctor" })}>${t.whyNobody}</button></footer>
  </nav>`;
}
