// Whatever somebody writes is shown as text: nothing of it runs, and the layout stays whole.
import assert from "node:assert/strict";
import { Person } from "../people.js";

const ZALGO = [..."zalgo"].map((letter) => letter + "\u0301\u0316\u0489\u034f".repeat(40)).join("");
const TEXTS = {
  html: `<img src=x onerror="document.title='run'"><script>document.title="run"</script><b>bold</b>`,
  style: `</style><style>*{display:none}</style><iframe srcdoc="<script>parent.document.title='run'</script>">`,
  link: `javascript:document.title="run" data:text/html,<script>1</script> https://example.com/<script>"onmouseover="x`,
  template: `\${document.title="run"} {{constructor.constructor("document.title='run'")()}}`,
  bidi: "abc \u202e\u2066 tfel ot thgir \u2067 مرحبا\u0000\u0007\u001b[31m",
  word: `begin-${"W".repeat(10_000)}`,
  chinese: `begin-${"汉".repeat(10_000)}`,
  zalgo: `begin ${ZALGO.repeat(4)}`,
  long: `begin\n${"one line of many and some more of it\n".repeat(810)}`,
  block: `\`\`\`\n${"x".repeat(4000)}\n\`\`\`\n\`${"y".repeat(2000)}\` ***`,
};
const NAME = "<b onclick=alert(1)>\u202eoB\u202c</b> “&amp;”";

export default async function hostile(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const { page } = ann;
  await boHost.request("PUT", "name", { name: NAME }).catch(() => boHost.request("PUT", "name", { name: NAME.replaceAll(/[\u202a-\u202e]/gu, "") }));
  await page.locator(".lists button.person", { hasText: "<b onclick" }).click();
  const clean = (text) => text.replaceAll(/[\u0000-\u0008\u000b-\u001f]/gu, "");
  for (const [name, text] of Object.entries(TEXTS)) {
    const sent = clean(text);
    await boHost.tell(annHost, sent);
    await page.waitForFunction((wanted) => [...document.querySelectorAll("li.theirs .text")].some((row) => row.textContent.replace(/\s/gu, "").startsWith(wanted)), sent.replaceAll(/[`\s]/gu, "").slice(0, 40));
    const broken = await page.evaluate(() => {
      const log = document.querySelector(".log");
      const wide = [...document.querySelectorAll("li.message .bubble")].filter((bubble) => bubble.getBoundingClientRect().right > log.getBoundingClientRect().right);
      return { page: document.documentElement.scrollWidth > innerWidth, log: log.scrollWidth > log.clientWidth, bubbles: wide.length };
    });
    assert.deepEqual(broken, { page: false, log: false, bubbles: 0 }, name);
    assert.doesNotMatch(await page.title(), /run/u, name);
    const height = await page.locator("li.theirs .bubble").last().evaluate((bubble) => bubble.getBoundingClientRect().height);
    assert.ok(height < 800, `${name} is ${height} px high`);
  }
  assert.equal(await page.locator("li.message :is(img, script, iframe, style, b)").count(), 0);
  const links = await page.locator("li.message a").evaluateAll((all) => all.map((link) => link.protocol));
  assert.deepEqual(links, ["https:"]);
  await ann.shot("hostile-light-en");
  // The same at a narrow window, and in answers and search.
  await page.setViewportSize({ width: 360, height: 640 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await ann.shot("hostile-narrow");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.keyboard.press("Control+k");
  await page.locator("dialog input[type=search]").fill("begin");
  await page.locator("dialog .found time").first().waitFor();
  assert.ok(await page.evaluate(() => { const box = document.querySelector("dialog"); return box.scrollWidth <= box.clientWidth; }));
}
