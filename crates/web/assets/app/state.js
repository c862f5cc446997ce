// Pure: what the page knows, and how each thing that happens changes it. No view, no request.

/** Messages of a talk that are loaded and mounted: a window that moves over all there are. */
export const ROWS_MAX = 300;
/** More come while somebody reads further up than are dropped under their eyes. */
const ROWS_SLACK = 100;

export const initial = () => ({
  online: false,
  trouble: null,
  me: null,
  event: 0,
  peers: {},
  talks: {},
  calls: {},
  transfers: {},
  levels: {},
  attached: {},
  also: {},
  uploads: [],
  selected: null,
  dialog: null,
  notices: [],
});

/**
 * `messages` is a part of the talk without gaps: `complete` says that nothing is before it,
 * `latest` that nothing is after it. `pinned` is a view that stays at the end, `last` the last
 * word, and `focus` the message to be shown next.
 */
const emptyTalk = () => ({
  messages: [], complete: false, latest: true, loaded: false, pinned: true, last: null, focus: null, replying: null, editing: null,
});

export const talkOf = (state, peer) => state.talks[peer] ?? emptyTalk();

/** The other side of a message. */
export const peerOf = (message, me) => (message.from === me ? message.to : message.from);

const RANK = { queued: 0, sent: 1, delivered: 2, read: 3 };

/** Two people may give two messages one id. */
export const keyOf = (message) => message.from + message.id;

/** A list with a message of it as it is now. */
export function merge(messages, message) {
  const key = keyOf(message);
  const at = messages.findLastIndex((known) => keyOf(known) === key);
  if (at < 0) return messages;
  const earlier = messages[at];
  // A state told by an event may be ahead of the page that was read meanwhile.
  const state = RANK[earlier.state] > RANK[message.state] ? earlier.state : message.state;
  return messages.map((known, i) => (i === at ? { ...message, state } : known));
}

function withTalk(state, peer, change) {
  const talk = talkOf(state, peer);
  return { ...state, talks: { ...state.talks, [peer]: { ...talk, ...change(talk) } } };
}

function withPeer(state, peer, change) {
  const known = state.peers[peer];
  return known ? { ...state, peers: { ...state.peers, [peer]: { ...known, ...change(known) } } } : state;
}

/** Files that were chosen for somebody and not sent yet. */
export const attachedOf = (state, peer) => state.attached[peer] ?? [];

/** Files that would be lost with this page: chosen and not sent, or on their way to the node. */
export const hasFiles = (state) => state.uploads.length > 0 || Object.values(state.attached).some((files) => files.length > 0);

/** Who else gets them. */
export const alsoOf = (state, peer) => state.also[peer] ?? [];

function withAttached(state, peer, change) {
  return { ...state, attached: { ...state.attached, [peer]: change(attachedOf(state, peer)) } };
}

const without = (map, key) => {
  const { [key]: _, ...rest } = map;
  return rest;
};

export function reduce(state, action) {
  switch (action.type) {
    case "online":
      return { ...state, online: true, trouble: null };
    case "down":
      return { ...state, online: false, trouble: action.why };
    case "me":
      return { ...state, me: action.me, event: state.event || action.me.event };
    case "peers":
      return { ...state, peers: Object.fromEntries(action.peers.map((peer) => [peer.id, peer])) };
    case "calls":
      return { ...state, calls: Object.fromEntries(action.calls.filter(isOn).map((call) => [call.id, call])) };
    case "transfers":
      return { ...state, transfers: Object.fromEntries(action.transfers.map((transfer) => [transfer.id, transfer])) };
    case "page":
      return withTalk(state, action.peer, (talk) => withPage(talk, action));
    case "preview":
      return withTalk(state, action.peer, (talk) => ({ last: talk.last ?? action.messages.at(-1) ?? null }));
    case "pin":
      return withTalk(state, action.peer, () => ({ pinned: action.pinned }));
    case "focused":
      return withTalk(state, action.peer, () => ({ focus: null }));
    case "select":
      return { ...state, selected: action.peer };
    case "dialog":
      return { ...state, dialog: action.dialog };
    case "reply":
      return withTalk(state, action.peer, () => ({ replying: action.message, editing: null }));
    case "edit":
      return withTalk(state, action.peer, () => ({ editing: action.message, replying: null }));
    case "written":
      return withTalk(state, action.peer, () => ({ editing: null, replying: null }));
    case "read":
      return withPeer(state, action.peer, () => ({ unread: 0 }));
    case "notice":
      return { ...state, notices: [...state.notices, { key: action.key, text: action.text }] };
    case "dismiss":
      return { ...state, notices: state.notices.filter((notice) => notice.key !== action.key) };
    case "attach":
      return withAttached(state, action.peer, (files) => [...files, ...action.files]);
    case "detach":
      return withAttached(state, action.peer, (files) => files.filter((attached) => action.id && attached.id !== action.id));
    case "also":
      return { ...state, also: { ...state.also, [action.peer]: action.ids } };
    case "upload": {
      const known = state.uploads.some((upload) => upload.key === action.upload.key);
      const uploads = known ? state.uploads.map((upload) => (upload.key === action.upload.key ? action.upload : upload)) : [...state.uploads, action.upload];
      return { ...state, uploads };
    }
    case "uploaded":
      return { ...state, uploads: state.uploads.filter((upload) => upload.key !== action.key) };
    case "event":
      return handleEvent({ ...state, event: action.event.event }, action.event);
    default:
      throw new Error(`no such action: ${action.type}`);
  }
}

/** What a page of messages makes of a talk: the latest, some before or after, or some elsewhere. */
function withPage(talk, { side, messages, complete, focus }) {
  const known = new Set(talk.messages.map(keyOf));
  const fresh = messages.filter((message) => !known.has(keyOf(message)));
  const updated = messages.reduce((all, message) => (known.has(keyOf(message)) ? merge(all, message) : all), talk.messages);
  switch (side) {
    case "before": {
      const all = [...fresh, ...updated];
      return { messages: all.slice(0, ROWS_MAX), complete, latest: talk.latest && all.length <= ROWS_MAX };
    }
    case "after": {
      const all = [...updated, ...fresh];
      return { messages: all.slice(-ROWS_MAX), complete: talk.complete && all.length <= ROWS_MAX, latest: complete };
    }
    case "around":
      return { messages, complete: false, latest: false, loaded: true, pinned: false, focus };
    default: {
      const joins = talk.loaded && talk.latest && fresh.length < messages.length;
      const all = joins ? [...updated, ...fresh] : messages;
      const before = joins ? talk.complete : complete;
      return { messages: all.slice(-ROWS_MAX), complete: before && all.length <= ROWS_MAX, latest: true, loaded: true, pinned: true, last: messages.at(-1) ?? null };
    }
  }
}

/** A message that was not there before comes to the end, if that is loaded. */
function withNew(talk, message) {
  if (!talk.loaded || !talk.latest) return { last: message };
  const all = [...talk.messages, message];
  if (talk.pinned) return { last: message, messages: all.slice(-ROWS_MAX), complete: talk.complete && all.length <= ROWS_MAX };
  return all.length > ROWS_MAX + ROWS_SLACK ? { last: message, latest: false } : { last: message, messages: all };
}

const isOn = (call) => call.state !== "ended";

function handleEvent(state, event) {
  switch (event.kind) {
    case "message": {
      const peer = peerOf(event.message, state.me.id);
      const after = withTalk(state, peer, (talk) => {
        const key = keyOf(event.message);
        if (event.new && !talk.messages.some((message) => keyOf(message) === key)) return withNew(talk, event.message);
        const last = talk.last && keyOf(talk.last) === key ? event.message : talk.last;
        return { messages: merge(talk.messages, event.message), last };
      });
      const unread = event.new && event.message.from !== state.me.id;
      return unread ? withPeer(after, peer, (known) => ({ unread: known.unread + 1, typing: false })) : after;
    }
    case "state":
      return withTalk(state, event.peer, (talk) => ({
        messages: talk.messages.map((message) =>
          message.id === event.id && message.from === state.me.id && RANK[event.state] > RANK[message.state]
            ? { ...message, state: event.state }
            : message,
        ),
      }));
    case "read_up_to": {
      if (event.author !== state.me.id) return withPeer(state, event.peer, () => ({ unread: 0 }));
      return withTalk(state, event.peer, (talk) => ({
        messages: talk.messages.map((message) =>
          message.from === state.me.id && message.seq <= event.seq && RANK[message.state] < RANK.read && message.state !== "queued"
            ? { ...message, state: "read" }
            : message,
        ),
      }));
    }
    case "peer":
    case "request": {
      const { peer } = event;
      // Events do not count what is unread.
      const unread = state.peers[peer.id]?.unread ?? 0;
      return { ...state, peers: { ...state.peers, [peer.id]: { ...peer, unread } } };
    }
    case "peer_gone":
      return {
        ...state,
        peers: without(state.peers, event.id),
        talks: without(state.talks, event.id),
        selected: state.selected === event.id ? null : state.selected,
      };
    case "typing":
      return withPeer(state, event.id, () => ({ typing: event.typing }));
    case "call":
      return isOn(event.call)
        ? { ...state, calls: { ...state.calls, [event.call.id]: event.call } }
        : { ...state, calls: without(state.calls, event.call.id), levels: without(state.levels, event.call.id) };
    case "call_levels":
      return { ...state, levels: { ...state.levels, [event.id]: event } };
    case "transfer":
      return { ...state, transfers: { ...state.transfers, [event.transfer.id]: event.transfer } };
    default:
      return state;
  }
}

const lastAt = (state, peer) => talkOf(state, peer.id).last?.at ?? peer.last_seen ?? 0;

/** Something of theirs waits and may ask for attention. */
const calls = (state, peer) => peer.unread > 0 && !isMuted(state, peer.id);

/** People in three lists: those who need an answer first, then by the last word. */
export function people(state, filter = "") {
  const wanted = filter.trim().toLocaleLowerCase();
  const named = Object.values(state.peers).filter(
    (peer) => !wanted || peer.name.toLocaleLowerCase().includes(wanted) || peer.tag.includes(wanted) || peer.id.startsWith(wanted),
  );
  const order = (a, b) =>
    Number(calls(state, b)) - Number(calls(state, a)) || lastAt(state, b) - lastAt(state, a) || a.name.localeCompare(b.name) || a.id.localeCompare(b.id);
  const nearbyOrder = (a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id);
  return {
    requests: named.filter((peer) => peer.request && !peer.blocked).sort(order),
    contacts: named.filter((peer) => peer.contact && !peer.blocked).sort(order),
    nearby: named.filter((peer) => !peer.contact && !peer.request && !peer.blocked && peer.state !== "offline").sort(nearbyOrder),
  };
}

/** Names that more than one person has: there the tag stands beside the name. */
export function ambiguous(state) {
  const count = new Map();
  for (const { name } of Object.values(state.peers)) count.set(name, (count.get(name) ?? 0) + 1);
  return new Set([...count].filter(([, n]) => n > 1).map(([name]) => name));
}

/** Somebody of whom no notification is wanted. */
export const isMuted = (state, peer) => Boolean(state.me?.muted?.includes(peer));

/** What the title tells: unread messages of all who may ask for attention. */
export const unreadTotal = (state) =>
  Object.values(state.peers).reduce((sum, peer) => sum + (peer.blocked || isMuted(state, peer.id) ? 0 : peer.unread), 0);

/** The sequence number up to which messages of a peer were shown, when all loaded ones were. */
export const lastSeqOf = (messages, peer) => messages.reduce((last, message) => (message.from === peer ? Math.max(last, message.seq) : last), 0);
