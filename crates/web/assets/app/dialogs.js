// What opens above the page: search, the doctor, questions; settings and verification have files of their own.
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { isoDay, when } from "./format.js";
import { Settings, Tokens } from "./settings.js";
import { alsoOf, people, peerOf } from "./state.js";
import { Dialog } from "./dialog.js";
import { Circle, dotOf, lineOf } from "./people.js";
import { Verify } from "./verify.js";
import { sends } from "./writing.js";

/** A question, and then again what was open before it. */
function Confirm({ app: page, dialog }) {
  const { t } = page;
  const app = { ...page, close: () => page.open(dialog.back) };
  const go = async () => {
    if (!dialog.back) app.close();
    await app.act(dialog.go());
    if (dialog.back) app.close();
  };
  return html`<${Dialog} app=${app} title=${dialog.question}>
    <div class="buttons end"><button onClick=${() => app.close()}>${t.cancel}</button>
    <button class="danger" autofocus onClick=${go}>${dialog.word.replace("…", "")}</button></div>
  <//>`;
}

function Search({ app }) {
  const { t, state, now } = app;
  const [words, setWords] = useState("");
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (!words.trim()) return setFound([]);
    const timer = setTimeout(() => app.api.get("log", { search: words, limit: 50 }).then(setFound, () => setFound([])), 120);
    return () => clearTimeout(timer);
  }, [words]);
  const lists = people(state, words);
  const go = (id, message) => {
    app.close();
    if (message) app.jump(id, { id: message });
    else app.select(id);
  };
  /** The arrows go through what was found. */
  const step = (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const all = [...event.currentTarget.querySelectorAll("input, .person")];
    all[Math.max(0, all.indexOf(document.activeElement) + by)]?.focus();
  };
  const named = [...lists.requests, ...lists.contacts, ...lists.nearby].slice(0, words.trim() ? 8 : 20);
  return html`<${Dialog} app=${app} title=${t.search} wide>
    <div class="search-all" onKeyDown=${step}><input autofocus type="search" value=${words} onInput=${(event) => setWords(event.target.value)} placeholder=${t.searchHint} aria-label=${t.searchHint}
      onKeyDown=${(event) => {
        if (event.key === "Escape") app.close();
        else if (sends(event) && named[0]) go(named[0].id);
      }} />
    <ul class="found">
      ${named.map((peer) => html`<li key=${peer.id}><button class="person" onClick=${() => go(peer.id)}>
        <${Circle} id=${peer.id} name=${peer.name} state=${dotOf(peer)} small /><span class="who"><b>${peer.name} <small>~${peer.tag}</small></b></span></button></li>`)}
      ${found.length > 0 && html`<li><h3>${t.results}</h3></li>`}
      ${found.toReversed().map((message) => {
        const id = peerOf(message, state.me.id);
        const name = state.peers[id]?.name ?? "?";
        return html`<li key=${message.from + message.id}><button class="person" onClick=${() => go(id, message.id)}><${Circle} id=${id} name=${name} small />
          <span class="who"><b>${name}</b><span class="last">${lineOf(message, state.me.id, t)}</span></span><span class="aside"><time>${when(message.at, now, t.code)}</time></span></button></li>`;
      })}
      ${words.trim() && !named.length && !found.length && html`<li class="hint">${t.noResults}</li>`}
    </ul></div>
  <//>`;
}

const SIGNS = { ok: "✓", warn: "!", fail: "✕" };

function Doctor({ app, dialog }) {
  const { t } = app;
  const [report, setReport] = useState(null);
  useEffect(() => {
    app.api.get("doctor", dialog.peer ? { peer: dialog.peer } : undefined).then(setReport, (error) => { app.close(); app.fail(error); });
  }, []);
  return html`<${Dialog} app=${app} title=${dialog.peer ? t.doctor : t.whyNobody} wide>
    ${!report && html`<p role="status">${t.doctorRunning}</p>`}
    ${report && html`<p>${worst(report) === "ok" ? t.doctorFine : t.doctorFound}</p>`}
    <ul class="checks">${report && mostSevereFirst(report).map((check, i) => html`<li key=${i} class=${check.outcome}>
      <span role="img" aria-label=${t.outcome[check.outcome]}>${SIGNS[check.outcome]}</span><${Check} check=${check} t=${t} /></li>`)}</ul>
    ${report && !dialog.peer && html`<p class="hint">${t.doctorSide}</p>`}
  <//>`;
}

const SEVERITY = ["fail", "warn", "ok"];
/** Sound is no reason not to see somebody; the settings tell about it. */
const mostSevereFirst = ({ checks }) => SEVERITY.flatMap((outcome) => checks.filter((check) => check.outcome === outcome && check.name !== "audio"));
const worst = (report) => mostSevereFirst(report)[0]?.outcome ?? "ok";

/** What a check has seen. The node tells it in English; other languages have words for each kind. */
function Check({ check, t }) {
  const words = t.checks[check.name];
  if (!words) return html`<div><b>${check.detail}</b>${check.advice && html`<p>${check.advice}</p>`}</div>`;
  const [title, advice] = words;
  return html`<div><b>${title}${t.colon}${t.outcome[check.outcome]}</b>${check.outcome !== "ok" && html`<p>${advice}</p><p lang="en">${check.detail}</p>`}</div>`;
}

/** Who else gets the files that wait in a composer. */
function Also({ app, dialog }) {
  const { t, state } = app;
  const chosen = alsoOf(state, dialog.peer);
  const others = people(state).contacts.filter((peer) => peer.id !== dialog.peer);
  const flip = (id) => app.dispatch({ type: "also", peer: dialog.peer, ids: chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id] });
  return html`<${Dialog} app=${app} title=${t.also}>
    ${others.length === 0 && html`<p class="hint">${t.nobodyElse}</p>`}
    <ul class="found">${others.map((peer) => html`<li key=${peer.id}><label class="person"><input type="checkbox" checked=${chosen.includes(peer.id)} onChange=${() => flip(peer.id)} />
      <${Circle} id=${peer.id} name=${peer.name} state=${dotOf(peer)} small /><span class="who"><b>${peer.name} <small>~${peer.tag}</small></b></span></label></li>`)}</ul>
    <div class="buttons end"><button class="primary" onClick=${() => app.close()}>${t.ready}</button></div>
  <//>`;
}

/** Asks for a day, and shows the first message from then on. */
function Goto({ app, dialog }) {
  const { t } = app;
  const [date, setDate] = useState(() => isoDay(Date.now()));
  const go = (event) => {
    event.preventDefault();
    app.close();
    app.jump(dialog.peer, { from: new Date(`${date}T00:00`).getTime() });
  };
  return html`<${Dialog} app=${app} title=${t.goto}>
    <form class="field" onSubmit=${go}><label>${t.date}<input type="date" required autofocus value=${date} max=${isoDay(Date.now())} onInput=${(event) => setDate(event.target.value)} /></label>
      <button class="primary" disabled=${!date}>${t.gotoGo}</button></form>
  <//>`;
}

function Welcome({ app }) {
  const { t, state } = app;
  const [name, setName] = useState(state.me.name);
  const begin = (event) => {
    event.preventDefault();
    app.welcomed();
    if (name.trim() !== state.me.name) app.act(app.api.put("name", { name }).then(() => app.loadMe()));
  };
  return html`<${Dialog} app=${app} title=${t.welcome}>
    <form onSubmit=${begin}><p>${t.welcomeHint}</p>
      <div class="line"><input autofocus value=${name} maxlength="64" aria-label=${t.name} onInput=${(event) => setName(event.target.value)} />
      <button class="primary" disabled=${!name.trim()}>${t.begin}</button></div></form>
  <//>`;
}

const KINDS = { settings: Settings, verify: Verify, search: Search, doctor: Doctor, confirm: Confirm, welcome: Welcome, also: Also, goto: Goto, tokens: Tokens };

export function Dialogs({ app }) {
  const { dialog } = app.state;
  const Kind = dialog && KINDS[dialog.kind];
  return Kind ? html`<${Kind} key=${dialog.kind} app=${app} dialog=${dialog} />` : null;
}
