// What bots come in with: each token has a name, and says what its bot may do and with whom.
import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "./dialog.js";
import { html } from "./html.js";
import { when } from "./format.js";
import { people } from "./state.js";

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
