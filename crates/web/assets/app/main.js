// The page begins here: enter, load, follow the events, draw.
import { render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { Api, enter, Unreachable, wanted } from "./api.js";
import { hasFiles, initial, people, reduce, unreadTotal } from "./state.js";
import { pick } from "./languages.js";
import { People } from "./people.js";
import { Talk } from "./talk.js";
import { CallBar } from "./calls.js";
import { Notices } from "./dialog.js";
import { Dialogs } from "./dialogs.js";
import { uploader } from "./uploads.js";

const OPEN_TALK = "hallway.talk";
/** Messages that are loaded when a talk is opened, and on each side of one that is jumped to. */
const PAGE = 100;
const NOTICE_MS = 6000;
const PREVIEWS_AT_ONCE = 6;
let lastKey = 0;

/** In a window of its own, as opposed to a tab of a browser. */
const inWindow = () => matchMedia("(display-mode: standalone)").matches;

/**
 * One tab is live; another one that opens asks it to step aside. A window then goes, unless it is
 * needed: whoever clicks on a notification wants that talk, and no second window.
 */
function useOnlyTab(needed) {
  const [live, setLive] = useState(true);
  const channel = useMemo(() => new BroadcastChannel("hallway"), []);
  useEffect(() => {
    channel.onmessage = ({ data }) => {
      setLive(false);
      if (data === "opened" && inWindow() && !needed()) close();
    };
    channel.postMessage("opened");
  }, []);
  const take = () => {
    channel.postMessage("mine");
    setLive(true);
  };
  return [live, take];
}

function App({ api, talk }) {
  const [state, dispatch] = useReducer(reduce, null, () => ({ ...initial(), selected: talk }));
  const [language, setLanguage] = useState(() => localStorage.getItem("hallway.language"));
  const [theme, setTheme] = useState(() => localStorage.getItem("hallway.theme") ?? "auto");
  const [minute, setMinute] = useState(() => Math.floor(Date.now() / 60000));
  const current = useRef(state);
  current.current = state;
  const [live, take] = useOnlyTab(() => hasFiles(current.current));
  const t = pick(language, wanted(sessionStorage, navigator.languages));
  const failed = useRef();
  const uploads = useMemo(() => uploader(api, dispatch, (error) => failed.current(error)), []);

  const app = {
    api, uploads, state, dispatch, t, theme, minute,
    now: minute * 60000,
    open: (dialog) => dispatch({ type: "dialog", dialog }),
    close: () => dispatch({ type: "dialog", dialog: null }),
    confirm: (question, word, go, back = null) => dispatch({ type: "dialog", dialog: { kind: "confirm", question, word, go, back } }),
    select: (peer) => dispatch({ type: "select", peer }),
    tell: (text) => {
      const key = (lastKey += 1);
      dispatch({ type: "notice", key, text });
      setTimeout(() => dispatch({ type: "dismiss", key }), NOTICE_MS);
    },
    fail: (error) => app.tell(error instanceof Unreachable ? t.down : t.failed(t.problems[error.code] ?? error.message)),
    attach: (peer, files, name = (file) => file.name) =>
      dispatch({ type: "attach", peer, files: files.map((file) => ({ id: crypto.randomUUID(), name: name(file), file })) }),
    copy: (text) => app.act(navigator.clipboard.writeText(text).then(() => app.tell(t.copied))),
    act: (promise) => promise.catch(app.fail),
    /** For what nobody waits for. */
    quietly: (promise) => promise.catch(() => {}),
    setLanguage: (code) => { localStorage.setItem("hallway.language", code); setLanguage(code); },
    setTheme: (name) => { localStorage.setItem("hallway.theme", name); setTheme(name); },
    mute: (peer, on) => app.act(api.post(`peers/${peer}/mute`, { on }).then(() => app.loadMe())),
    welcomed: () => { localStorage.setItem("hallway.welcomed", "yes"); app.close(); },
    loadMe: async () => dispatch({ type: "me", me: await api.get("status") }),
    loadTalk: async (peer) => {
      try {
        const messages = await api.get("log", { peer, limit: PAGE });
        dispatch({ type: "page", side: "latest", peer, messages, complete: messages.length < PAGE });
      } catch (error) {
        app.fail(error);
      }
    },
    /** Shows a message by its id, or the first one from a time on, wherever it is in a talk. */
    jump: async (peer, { id, from }) => {
      try {
        const before = id ? await api.get("log", { peer, before: id, limit: PAGE }) : [];
        const mark = before.at(-1);
        const after = await api.get("log", { peer, limit: PAGE, ...(mark ? { after: mark.id } : { from: from ?? 0 }) });
        const focus = id ?? after[0]?.id;
        if (!focus) return app.tell(t.noneSince);
        app.select(peer);
        return dispatch({ type: "page", side: "around", peer, messages: [...before, ...after], focus });
      } catch (error) {
        return app.fail(error);
      }
    },
  };

  failed.current = app.fail;

  const load = async () => {
    const [peers, calls, transfers] = await Promise.all([api.get("peers"), api.get("calls"), api.get("files")]);
    dispatch({ type: "peers", peers });
    dispatch({ type: "calls", calls });
    dispatch({ type: "transfers", transfers });
    const waiting = peers.filter((peer) => (peer.contact || peer.request) && !current.current.talks[peer.id]);
    const preview = async () => {
      for (let peer = waiting.pop(); peer; peer = waiting.pop()) {
        const messages = await api.get("log", { peer: peer.id, limit: 1 });
        dispatch({ type: "preview", peer: peer.id, messages });
      }
    };
    Array.from({ length: PREVIEWS_AT_ONCE }, () => app.quietly(preview()));
    if (!localStorage.getItem("hallway.welcomed") && !current.current.dialog) app.open({ kind: "welcome" });
  };

  useEffect(() => {
    if (!live) return undefined;
    const end = new AbortController();
    const on = {
      begin: async () => {
        const me = await api.get("status");
        dispatch({ type: "me", me });
        return current.current.event || me.event;
      },
      open: async () => {
        dispatch({ type: "online" });
        await load();
      },
      event: (event) => dispatch({ type: "event", event }),
      down: (why) => dispatch({ type: "down", why }),
    };
    api.follow(on, end.signal);
    return () => end.abort();
  }, [live]);

  useEffect(() => {
    const timer = setInterval(() => setMinute(Math.floor(Date.now() / 60000)), 5000);
    return () => clearInterval(timer);
  }, []);
  const uploading = state.uploads.length > 0;
  useEffect(() => {
    if (!uploading) return undefined;
    const ask = (event) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [uploading]);
  useEffect(() => { localStorage.setItem(OPEN_TALK, state.selected ?? ""); }, [state.selected]);
  const unread = unreadTotal(state);
  useEffect(() => { document.title = unread ? `(${unread}) Hallway` : "Hallway"; }, [unread]);
  // Before anything is painted in other colours.
  useLayoutEffect(() => {
    document.documentElement.lang = t.code;
    document.documentElement.dataset.theme = theme;
  }, [t, theme]);
  useEffect(() => {
    const key = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        app.open({ kind: "search" });
      } else if (event.altKey && event.key.toLowerCase() === "a") {
        const lists = people(current.current);
        const next = [...lists.requests, ...lists.contacts].find((peer) => peer.unread > 0);
        if (next) app.select(next.id);
      }
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);

  if (!live) return html`<main class="whole"><h1>Hallway</h1><p>${t.takeOver}</p><button class="primary" onClick=${take}>${t.takeOverGo}</button></main>`;
  if (state.trouble === "no_token") return html`<main class="whole"><h1>${t.noTokenTitle}</h1><p>${t.noToken}</p></main>`;
  if (!state.me) return html`<main class="whole">${state.trouble && html`<p role="alert">${t.down}</p>`}</main>`;
  const peer = state.peers[state.selected];
  return html`
    ${state.trouble && html`<div class="trouble" role="alert">${t.down}</div>`}
    <div class="calls"><${CallBar} app=${app} /></div>
    <div class=${`page${peer ? " talking" : ""}`}>
      <${People} app=${app} />
      ${peer ? html`<${Talk} key=${peer.id} app=${app} peer=${peer} />`
        : html`<main class="talk"><div class="whole"><h1>${t.choose}</h1><p>${t.chooseHint}</p></div></main>`}
    </div>
    ${!state.dialog && html`<${Notices} app=${app} />`}
    <${Dialogs} app=${app} />`;
}

/** The talk that the address names, or else the one that was open before. */
const talk = new URLSearchParams(location.hash.slice(1)).get("peer") ?? localStorage.getItem(OPEN_TALK);
const token = await enter(location, history, sessionStorage);
render(html`<${App} api=${new Api(token)} talk=${talk} />`, document.getElementById("app"));
