// Enter belongs to the input method while it composes.
import assert from "node:assert/strict";
import { Person } from "../people.js";

const ENTER = { key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" };

export default async function compose(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  await ann.choose("Bo");
  await ann.area.focus();
  const enter = async () => {
    await ann.cdp.send("Input.dispatchKeyEvent", { type: "keyDown", ...ENTER });
    await ann.cdp.send("Input.dispatchKeyEvent", { type: "keyUp", ...ENTER });
  };
  await ann.cdp.send("Input.imeSetComposition", { text: "nihao", selectionStart: 5, selectionEnd: 5 });
  assert.equal(await ann.area.inputValue(), "nihao");
  await enter();
  // The key has gone through the page when this comes back: nothing was sent, all is still there.
  assert.match(await ann.area.inputValue(), /^nihao/u);
  await ann.cdp.send("Input.imeSetComposition", { text: "你好", selectionStart: 2, selectionEnd: 2 });
  await ann.cdp.send("Input.insertText", { text: "你好" });
  assert.equal((await ann.area.inputValue()).trim(), "你好");
  await ann.area.press("Shift+Enter");
  await ann.area.pressSequentially("第二行");
  await ann.area.press("Enter");
  await ann.message("第二行").waitFor();
  assert.equal(await ann.area.inputValue(), "");
  const log = await boHost.get(`log?peer=${annHost.id}`);
  const texts = log.filter((message) => message.from === annHost.id).map((message) => message.text);
  assert.deepEqual(texts, ["hello", "你好\n第二行"]);
}
