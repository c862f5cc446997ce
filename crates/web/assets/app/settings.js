// What can be chosen: who one is, files, what others learn, sound, people, how it looks, and which bots come in.
import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "./dialog.js";
import { html } from "./html.js";
import { size, when } from "./format.js";
import { languages } from "./languages.js";
import { isMuted, people } from "./state.js";
import { takeSizes } from "./transfers.js";

/** A text that is saved when it was changed. */
function Text({ label, value, save, t, ...more }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return html`<form class="field" onSubmit=${(event) => { event.preventDefault(); save(text.trim()); }}>
    <label>${label}<input value=${text} onInput=${(event) => setText(event.target.value)} ...${more} /></label>
    <button disabled=${!text.trim() || text === value}>${t.save}</button></form>`;
}

function Choice({ label, value, choose, options }) {
  return html`<div class="field"><label>${label}<select value=${value} onChange=${(event) => choose(event.target.value)}>
    ${options.map(([key, word, more]) => html`<option key=${key} value=${key} selected=${String(key) === String(value)} ...${more}>${word}</option>`)}</select></label></div>`;
}

function Switch({ label, hint, on, flip }) {
  return html`<label class="switch"><input type="checkbox" checked=${on} onChange=${(event) => flip(event.target.checked)} /><span>${label}${hint && html`<small>${hint}</small>`}</span></label>`;
}

/** The microphone and the speaker of calls. */
function Sound({ app }) {
  const { t, api } = app;
  const [devices, setDevices] = useState(null);
  useEffect(() => {
    api.get("devices").then(setDevices, app.fail);
  }, []);
  if (!devices) return html`<p class="hint" role="status">…</p>`;
  const choose = (direction) => (id) => app.act(api.put("devices", { [direction]: id }).then(setDevices));
  const options = (direction) => {
    const found = devices.devices.filter((device) => device.direction === direction).map(({ id, name }) => [id, name]);
    const set = devices[direction];
    const gone = set !== "default" && !found.some(([id]) => id === set) ? [[set, t.unplugged(set)]] : [];
    return [["default", t.asSystem], ...found, ...gone];
  };
  return html`<${Choice} label=${t.microphone} value=${devices.input} choose=${choose("input")} options=${options("input")} />
    <${Choice} label=${t.speaker} value=${devices.output} choose=${choose("output")} options=${options("output")} />
    ${devices.problem && html`<p class="hint">${t.noSound}<br /><span lang="en">${devices.problem}</span></p>`}`;
}

/** People who are not found by themselves: whom to connect with now and at every start. */
function Addresses({ app, set }) {
  const { t, state, api } = app;
  const [address, setAddress] = useState("");
  const kept = state.me.static_peers ?? [];
  const connect = async (event) => {
    event.preventDefault();
    try {
      await set({ static_peers: [...kept.filter((one) => one !== address.trim()), address.trim()] });
      setAddress("");
      const peer = await api.post("connect", { address });
      app.tell(t.connected(peer.name));
    } catch (error) {
      app.fail(error);
    }
  };
  return html`<form class="field" onSubmit=${connect}><label>${t.connect}<input value=${address} placeholder="192.168.1.20" onInput=${(event) => setAddress(event.target.value)} /></label>
      <button disabled=${!address.trim()}>${t.connectGo}</button></form>
    <p class="hint">${t.connectHint}</p>
    <ul>${kept.map((one) => html`<li class="line" key=${one}><code>${one}</code>
      <button onClick=${() => app.act(set({ static_peers: kept.filter((other) => other !== one) }))} aria-label=${`${t.drop}: ${one}`}>${t.drop}</button></li>`)}</ul>`;
}

/** People with a button each, or a word when there are none. */
function Those({ peers, none, word, act }) {
  return html`${peers.length === 0 && html`<p class="hint">${none}</p>`}
    <ul>${peers.map((peer) => html`<li class="line" key=${peer.id}><span>${peer.name} <small>~${peer.tag}</small></span>
      <button onClick=${() => act(peer)} aria-label=${`${word}: ${peer.name}`}>${word}</button></li>`)}</ul>`;
}

export function Settings({ app }) {
  const { t, state, api } = app;
  const { me } = state;
  const all = Object.values(state.peers);
  const then = (promise) => promise.then(() => app.loadMe());
  const set = (change) => then(api.put("settings", change));
  const statuses = ["available", "away", "busy"].map((status) => [status, status === "busy" ? t.busyQuiet : t[status]]);
  const sizes = takeSizes(me.accept_files_bytes).map((bytes) => [bytes, bytes ? t.takeUpTo(size(bytes)) : t.takeNone]);
  const spoken = Object.entries(languages).map(([key, language]) => [key, language.own, { lang: language.code }]);
  return html`<${Dialog} app=${app} title=${t.settings}>
    <h3>${t.aboutYou}</h3>
    <${Text} label=${t.name} value=${me.name} save=${(name) => app.act(then(api.put("name", { name })))} t=${t} maxlength="64" />
    <${Choice} label=${t.status} value=${me.status} options=${statuses} choose=${(status) => app.act(then(api.put("status", { status })))} />
    <${Switch} label=${t.receipts} hint=${t.receiptsHint} on=${me.read_receipts} flip=${(on) => app.act(set({ read_receipts: on }))} />
    <h3>${t.files}</h3>
    <${Choice} label=${t.takeFiles} value=${me.accept_files_bytes} options=${sizes} choose=${(bytes) => app.act(set({ accept_files_bytes: Number(bytes) }))} />
    <${Text} label=${t.downloads} value=${me.downloads ?? ""} save=${(downloads) => app.act(set({ downloads }))} t=${t} spellcheck="false" />
    <h3>${t.looks}</h3>
    <${Choice} label=${t.language} value=${t.code === "en" ? "en" : "zh"} options=${spoken} choose=${app.setLanguage} />
    <${Choice} label=${t.theme} value=${app.theme} options=${[["auto", t.themeAuto], ["light", t.themeLight], ["dark", t.themeDark]]} choose=${app.setTheme} />
    <h3>${t.notifications}</h3>
    <p class="hint">${t.notificationsHint}</p>
    <${Those} peers=${all.filter((peer) => isMuted(state, peer.id))} none=${t.noneMuted} word=${t.unmutePerson} act=${(peer) => app.mute(peer.id, false)} />
    <h3>${t.sound}</h3>
    <${Sound} app=${app} />
    <h3>${t.addresses}</h3>
    <${Addresses} app=${app} set=${set} />
    <h3>${t.blocked}</h3>
    <${Those} peers=${all.filter((peer) => peer.blocked)} none=${t.noneBlocked} word=${t.unblock} act=${(peer) => app.act(api.post(`peers/${peer.id}/unblock`))} />
    <h3>${t.bots}</h3>
    <p class="hint">${t.tokensHint}</p>
    <div class="buttons"><button onClick=${() => app.open({ kind: "tokens" })}>${t.tokens}</button></div>
    <h3>Hallway ${me.version}</h3>
    <p class="hint">${t.yourId}: <code class="id">${me.id}</code></p>
    <div class="buttons"><button onClick=${() => app.open({ kind: "doctor" })}>${t.doctor}</button></div>
  <//>`;
}

/** What a bot may do with its token. */
const RIGHTS = ["read", "send", "metrics"];

/** Something to be taken elsewhere. */
function Copied({ app, label, text }) {
  return html`<div class="field"><label>${label}<input readonly value=${text} spellcheck="false" onFocus=${(event) => event.target.select()} /></label>
    <button type="button" onClick=${() => app.copy(text)} aria-label=${`${app.t.copy}: ${label}`}>${app.t.copy}</button></div>`;
}

/** The one time that a secret is shown. */
function Made({ app, made, done }) {
  const { t } = app;
  const box = useRef();
  useEffect(() => box.current.focus(), []);
  return html`<section class="made" ref=${box} tabindex="-1" aria-label=${t.tokenMade(made.token.name)}>
    <b>${t.tokenMade(made.token.name)}</b><p>${t.tokenOnce}</p>
    <${Copied} app=${app} label=${t.tokenSecret} text=${made.secret} />
    ${made.url && html`<${Copied} app=${app} label=${t.tokenUrl} text=${made.url} />`}
    <div class="buttons end"><button class="primary" onClick=${done}>${t.ready}</button></div>
  </section>`;
}

function Make({ app, make }) {
  const { t, state } = app;
  const [name, setName] = useState("");
  const [rights, setRights] = useState(["read", "send"]);
  const [only, setOnly] = useState(null);
  const flip = (all, one) => (all.includes(one) ? all.filter((other) => other !== one) : [...all, one]);
  const talks = rights.includes("read") || rights.includes("send");
  const submit = (event) => {
    event.preventDefault();
    const can = Object.fromEntries(RIGHTS.map((right) => [right, rights.includes(right)]));
    make({ name: name.trim(), ...can, ...(only && talks ? { conversations: only } : {}) });
  };
  const ready = name.trim() && rights.length && !(only && talks && !only.length);
  return html`<form class="make" onSubmit=${submit}>
    <h3>${t.tokenNew}</h3>
    <div class="field"><label>${t.tokenName}<input value=${name} maxlength="64" spellcheck="false" onInput=${(event) => setName(event.target.value)} /></label></div>
    <fieldset><legend>${t.tokenMay}</legend>${RIGHTS.map((right) => html`<label class="switch" key=${right}><input type="checkbox" checked=${rights.includes(right)} onChange=${() => setRights(flip(rights, right))} /><span>${t.tokenRight[right]}</span></label>`)}</fieldset>
    ${talks && html`<fieldset><legend>${t.tokenWhere}</legend>
      <label class="switch"><input type="radio" name="where" checked=${!only} onChange=${() => setOnly(null)} /><span>${t.tokenAll}</span></label>
      <label class="switch"><input type="radio" name="where" checked=${Boolean(only)} onChange=${() => setOnly([])} /><span>${t.tokenOnly}</span></label>
      ${only && html`<ul class="those">${people(state).contacts.map((peer) => html`<li key=${peer.id}><label class="switch"><input type="checkbox" checked=${only.includes(peer.id)} onChange=${() => setOnly(flip(only, peer.id))} /><span>${peer.name} <small>~${peer.tag}</small></span></label></li>`)}</ul>`}</fieldset>`}
    <div class="buttons end"><button class="primary" disabled=${!ready}>${t.tokenMake}</button></div>
  </form>`;
}

function Token({ app, token, revoke }) {
  const { t, state, now } = app;
  const talks = token.read || token.send;
  const names = token.conversations?.map((id) => state.peers[id]?.name ?? `${id.slice(0, 8)}…`);
  const can = RIGHTS.filter((right) => token[right]).map((right) => t.tokenRight[right]);
  return html`<li class="line"><span><b>${token.name}</b><small>${[can.join(t.comma), talks && (names ? t.tokenIn(names) : t.tokenAll), t.tokenSince(when(token.created, now, t.code))].filter(Boolean).join(" · ")}</small></span>
    <button class="danger" onClick=${revoke} aria-label=${`${t.revoke}: ${token.name}`}>${t.revoke}</button></li>`;
}

export function Tokens({ app }) {
  const { t, api } = app;
  const [tokens, setTokens] = useState(null);
  const [made, setMade] = useState(null);
  const load = () => api.get("tokens").then(setTokens, app.fail);
  useEffect(() => { load(); }, []);
  const make = (request) => app.act(api.post("tokens", request).then((done) => { setMade(done); return load(); }));
  const revoke = ({ name }) => app.confirm(t.revokeSure(name), t.revoke, () => api.request("DELETE", `tokens/${encodeURIComponent(name)}`), { kind: "tokens" });
  return html`<${Dialog} app=${app} title=${t.tokens} wide>
    <p class="hint">${t.tokensHint}</p>
    ${made ? html`<${Made} app=${app} made=${made} done=${() => setMade(null)} />` : ""}
    ${tokens?.length === 0 && !made && html`<p class="hint">${t.noTokens}</p>`}
    <ul class="tokens">${tokens?.map((token) => html`<${Token} key=${token.name} app=${app} token=${token} revoke=${() => revoke(token)} />`)}</ul>
    ${!made && html`<${Make} app=${app} make=${make} />`}
  <//>`;
}
