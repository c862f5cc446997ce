// Files on their way from this page to the node, one after the other.

/** The name for a picture that comes from the clipboard without one of its own. */
export function pastedName(word, type, at) {
  const two = (n) => String(n).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(".");
  const ending = /^image\/(\w+)/u.exec(type)?.[1].replace("jpeg", "jpg");
  return `${word} ${date} ${time}${ending ? `.${ending}` : ""}`;
}

/** What a paste is meant to add: files, unless the same is there as text, as from a table. */
export function pastedFiles(clipboard) {
  return [...clipboard.types].includes("text/plain") ? [] : [...clipboard.files];
}

/** What was dropped, folders apart: a page cannot read those. */
export function droppedFiles(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const isFolder = (item) => Boolean(item.webkitGetAsEntry?.()?.isDirectory);
  const files = items.filter((item) => !isFolder(item)).map((item) => item.getAsFile());
  return { files: files.filter(Boolean), folders: items.some(isFolder) };
}

/**
 * Sends files through `api.upload`, tells `dispatch` how far each is, and `failed` what went
 * wrong with one; its file is then attached again.
 */
export function uploader(api, dispatch, failed) {
  const waiting = [];
  const ends = new Map();
  let last = 0;
  let busy = false;
  const run = async () => {
    if (busy) return;
    busy = true;
    for (let upload = waiting.shift(); upload; upload = waiting.shift()) {
      const { key, to, attached } = upload;
      const [peer] = to;
      const end = ends.get(key);
      const show = (sent) => dispatch({ type: "upload", upload: { key, peer, name: attached.name, bytes: attached.file.size, sent } });
      try {
        const query = new URLSearchParams([...to.map((id) => ["to", id]), ["name", attached.name], ["client_id", attached.id]]);
        await api.upload(`files/upload?${query}`, attached.file, show, end.signal);
      } catch (error) {
        if (error.name !== "AbortError") {
          dispatch({ type: "attach", peer, files: [attached] });
          failed(error);
        }
      }
      ends.delete(key);
      dispatch({ type: "uploaded", key });
    }
    busy = false;
  };
  return {
    /** Sends files to everybody in a list; they are shown in the talk with the first. */
    send(to, files) {
      for (const attached of files) {
        const key = (last += 1);
        ends.set(key, new AbortController());
        waiting.push({ key, to, attached });
        dispatch({ type: "upload", upload: { key, peer: to[0], name: attached.name, bytes: attached.file.size, sent: 0 } });
      }
      return run();
    },
    cancel(key) {
      const at = waiting.findIndex((upload) => upload.key === key);
      if (at >= 0) {
        waiting.splice(at, 1);
        ends.delete(key);
        dispatch({ type: "uploaded", key });
      } else ends.get(key)?.abort();
    },
  };
}
