// What opens above the page: settings, verification, search, the doctor, questions.
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { numberLines, size, when } from "./format.js";
import { languages } from "./languages.js";
import { sends } from "./sends.js";
import { people, peerOf } from "./state.js";
import { takeSizes } from "./transfers.js";
import { Circle, dotOf, lineOf } from "./people.js";

function Dialog({ app, title, children, wide }) {
  const box = useRef();
  useEffect(() => {
    box.current.showModal();
    return () => box.current?.close();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onCancel=${(event) => { event.preventDefault(); app.close(); }}
    onClick=${(event) => event.target === box.current && app.close()}>
    <div class="sheet"><header><h2>${title}</h2><button onClick=${() => app.close()} aria-label=${app.t.close}>✕</button></header>${children}</div>
  </dialog>`;
}

function Confirm({ app, dialog }) {
  const { t } = app;
  return html`<${Dialog} app=${app} title=${dialog.question}>
    <div class="buttons end"><button onClick=${() => app.close()}>${t.cancel}</button>
    <button class="danger" autofocus onClick=${() => { app.close(); app.act(dialog.go()); }}>${dialog.word}</button></div>
  <//>`;
}

function Verify({ app, dialog }) {
  const { t, state } = app;
  const peer = state.peers[dialog.peer];
  const [number, setNumber] = useState(null);
  const [theirs, setTheirs] = useState("");
  useEffect(() => {
    app.api.get(`peers/${dialog.peer}/verify`).then(setNumber, (error) => app.fail(error));
  }, [dialog.peer]);
  const compare = async (with_) => {
    try {
      setNumber(await app.api.post(`peers/${dialog.peer}/verify`, { number: with_ }));
      app.tell(t.safetyDone(peer.name));
    } catch (error) {
      app.fail(error);
    }
  };
  return html`<${Dialog} app=${app} title=${`${t.safety}: ${peer?.name ?? ""}`}>
    <p>${t.safetyHint(peer?.name ?? "")}</p>
    <pre class="number">${number ? numberLines(number.safety_number).join("\n") : "…"}</pre>
    ${number?.verified
      ? html`<p class="good">✓ ${t.verified}</p>`
      : html`<div class="buttons"><button class="primary" disabled=${!number} onClick=${() => compare(number.safety_number)}>${t.same}</button></div>
        <form class="line" onSubmit=${(event) => { event.preventDefault(); compare(theirs); }}>
          <input value=${theirs} onInput=${(event) => setTheirs(event.target.value)} placeholder=${t.safetyTheirs} aria-label=${t.safetyTheirs} />
          <button disabled=${!theirs.trim()}>${t.compare}</button></form>`}
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
  const go = (id) => {
    app.close();
    app.select(id);
  };
  const named = [...lists.requests, ...lists.contacts, ...lists.nearby].slice(0, words.trim() ? 8 : 20);
  return html`<${Dialog} app=${app} title=${t.search} wide>
    <input autofocus type="search" value=${words} onInput=${(event) => setWords(event.target.value)} placeholder=${t.searchHint} aria-label=${t.searchHint}
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
        return html`<li key=${message.from + message.id}><button class="person" onClick=${() => go(id)}><${Circle} id=${id} name=${name} small />
          <span class="who"><b>${name}</b><span class="last">${lineOf(message, state.me.id, t)}</span></span><span class="aside"><time>${when(message.at, now, t.code)}</time></span></button></li>`;
      })}
      ${words.trim() && !named.length && !found.length && html`<li class="hint">${t.noResults}</li>`}
    </ul>
  <//>`;
}

const SIGNS = { ok: "✓", warn: "⚠", fail: "✕" };

function Doctor({ app, dialog }) {
  const { t } = app;
  const [report, setReport] = useState(null);
  useEffect(() => {
    app.api.get("doctor", dialog.peer ? { peer: dialog.peer } : undefined).then(setReport, (error) => { app.close(); app.fail(error); });
  }, []);
  return html`<${Dialog} app=${app} title=${t.doctor} wide>
    ${!report && html`<p>${t.doctorRunning}</p>`}
    <ul class="checks">${report?.checks.map((check) => html`<li key=${check.name} class=${check.outcome}>
      <span role="img" aria-label=${check.outcome}>${SIGNS[check.outcome]}</span><div><b>${check.detail}</b>${check.advice && html`<p>${check.advice}</p>`}</div></li>`)}</ul>
  <//>`;
}

function Settings({ app }) {
  const { t, state } = app;
  const [name, setName] = useState(state.me.name);
  const [address, setAddress] = useState("");
  const blocked = Object.values(state.peers).filter((peer) => peer.blocked);
  const rename = (event) => {
    event.preventDefault();
    app.act(app.api.put("name", { name }).then(() => app.loadMe()));
  };
  const connect = async (event) => {
    event.preventDefault();
    try {
      const peer = await app.api.post("connect", { address });
      app.tell(t.connected(peer.name));
      app.close();
    } catch (error) {
      app.fail(error);
    }
  };
  return html`<${Dialog} app=${app} title=${t.settings}>
    <form class="field" onSubmit=${rename}><label>${t.name}<input value=${name} maxlength="64" onInput=${(event) => setName(event.target.value)} /></label>
      <button class="primary" disabled=${!name.trim() || name === state.me.name}>${t.save}</button></form>
    <div class="field"><label>${t.status}<select value=${state.me.status} onChange=${(event) => app.act(app.api.put("status", { status: event.target.value }).then(() => app.loadMe()))}>
      ${["available", "away", "busy"].map((status) => html`<option key=${status} value=${status}>${t[status]}</option>`)}</select></label></div>
    <div class="field"><label>${t.takeFiles}<select value=${state.me.accept_files_bytes} onChange=${(event) => app.act(app.api.put("settings", { accept_files_bytes: Number(event.target.value) }).then(() => app.loadMe()))}>
      ${takeSizes(state.me.accept_files_bytes).map((bytes) => html`<option key=${bytes} value=${bytes}>${bytes ? t.takeUpTo(size(bytes)) : t.takeNone}</option>`)}</select></label></div>
    <div class="field"><label>${t.language}<select value=${t.code === "en" ? "en" : "zh"} onChange=${(event) => app.setLanguage(event.target.value)}>
      ${Object.entries(languages).map(([key, language]) => html`<option key=${key} value=${key} lang=${language.code}>${language.own}</option>`)}</select></label></div>
    <div class="field"><label>${t.theme}<select value=${app.theme} onChange=${(event) => app.setTheme(event.target.value)}>
      <option value="auto">${t.themeAuto}</option><option value="light">${t.themeLight}</option><option value="dark">${t.themeDark}</option></select></label></div>
    <form class="field" onSubmit=${connect}><label>${t.connect}<input value=${address} placeholder="192.168.1.20" onInput=${(event) => setAddress(event.target.value)} /></label>
      <button disabled=${!address.trim()}>${t.connectGo}</button></form>
    <p class="hint">${t.connectHint}</p>
    <h3>${t.blocked}</h3>
    ${blocked.length === 0 && html`<p class="hint">${t.noneBlocked}</p>`}
    <ul>${blocked.map((peer) => html`<li class="line" key=${peer.id}><span>${peer.name} <small>~${peer.tag}</small></span>
      <button onClick=${() => app.act(app.api.post(`peers/${peer.id}/unblock`))}>${t.unblock}</button></li>`)}</ul>
    <p class="hint">${t.yourId}: <code class="id">${state.me.id}</code><br />${t.version}: ${state.me.version}</p>
    <button class="link" onClick=${() => app.open({ kind: "doctor" })}>${t.doctor}</button>
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

const KINDS = { settings: Settings, verify: Verify, search: Search, doctor: Doctor, confirm: Confirm, welcome: Welcome };

export function Dialogs({ app }) {
  const { dialog } = app.state;
  const Kind = dialog && KINDS[dialog.kind];
  return Kind ? html`<${Kind} key=${dialog.kind} app=${app} dialog=${dialog} />` : null;
}
