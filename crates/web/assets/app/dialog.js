// The frame of whatever opens above the page.
import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";
import { Icon } from "./icons.js";

export function Dialog({ app, title, children, wide }) {
  const box = useRef();
  useEffect(() => {
    box.current.showModal();
    return () => box.current?.close();
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onCancel=${(event) => { event.preventDefault(); app.close(); }}
    onMouseDown=${(event) => event.target === box.current && app.close()}>
    <div class="sheet"><header><h2>${title}</h2><button class="plain" onClick=${() => app.close()} aria-label=${app.t.close}><${Icon} name="close" /></button></header>${children}</div>
  </dialog>`;
}
