// The frame of whatever opens above the page, and what is told for a while.
import { useLayoutEffect, useRef } from "preact/hooks";
import { html, Icon } from "./html.js";

/** What has just gone wrong, or well. While a dialog is open only what is in it is heard and clicked. */
export function Notices({ app }) {
  return html`<div class="notices" aria-live="polite">${app.state.notices.map((notice) => html`<div key=${notice.key} role="status">${notice.text}<button type="button" onClick=${() => app.dispatch({ type: "dismiss", key: notice.key })} aria-label=${app.t.close}><${Icon} name="close" /></button></div>`)}</div>`;
}

export function Dialog({ app, title, children, wide }) {
  const box = useRef();
  useLayoutEffect(() => {
    // Closed while it is still there, it gives the focus back.
    const dialog = box.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onCancel=${(event) => { event.preventDefault(); app.close(); }}
    onMouseDown=${(event) => event.target === box.current && app.close()}>
    <div class="sheet"><header><h2>${title}</h2><button class="plain" onClick=${() => app.close()} aria-label=${app.t.close}><${Icon} name="close" /></button></header>${children}</div><${Notices} app=${app} />
  </dialog>`;
}
