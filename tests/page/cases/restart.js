// A page that is loaded again and a node that is killed: no draft is lost, and all goes on.
import assert from "node:assert/strict";
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function restart(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const { page } = ann;
  await ann.choose("Bo");
  await ann.area.fill("half a sen");
  await page.reload();
  await ann.area.waitFor();
  assert.equal(await ann.area.inputValue(), "half a sen");

  // What was chosen is kept, too.
  await page.locator(".mine button").click();
  await page.getByRole("checkbox", { name: /read their messages/u }).click();
  const folder = page.getByRole("textbox", { name: "Folder for files" });
  await folder.fill("/srv/from colleagues");
  await folder.press("Enter");
  await ann.until(() => document.querySelector("dialog form:nth-of-type(2) button")?.disabled);
  await page.keyboard.press("Escape");
  await page.locator(".menu summary").click();
  await page.getByRole("button", { name: "Mute notifications" }).click();
  await page.locator(".lists button.person small svg").waitFor();

  const other = await (await Person.at(annHost, { locale: "zh-CN", colorScheme: "dark" })).open();
  await other.choose("Bo");
  await annHost.kill();
  const trouble = page.getByRole("alert").filter({ hasText: "The node does not answer" });
  await trouble.waitFor();
  await ann.area.press("End");
  await ann.area.pressSequentially("tence");
  await ann.area.press("Enter");
  // What could not be sent is there to be sent.
  await page.getByRole("status").waitFor();
  await ann.until(() => document.querySelector("textarea").value === "half a sentence");
  await look(ann, "down-light-en");
  await other.page.locator(".trouble").waitFor();
  await look(other, "down-dark-zh");
  await other.leave();
  const told = boHost.tell(annHost, "are you there?");
  await annHost.up();
  await trouble.waitFor({ state: "detached" });
  await told;
  await ann.message("are you there?").waitFor();
  assert.equal(await ann.area.inputValue(), "half a sentence");
  await ann.area.press("Enter");
  await ann.message("half a sentence").getByRole("img", { name: /Delivered|Read/u }).waitFor();

  // What is written to somebody who is away says when it arrives.
  await boHost.kill();
  await page.locator(".head .who span", { hasText: "last here" }).waitFor();
  await ann.say("for later");
  await ann.message("for later").locator(".waits", { hasText: "arrives when Bo is back" }).waitFor();
  await ann.shot("away-light-en");
  await boHost.up();
  await ann.message("for later").getByRole("img", { name: "Delivered" }).waitFor();

  const { read_receipts: receipts, downloads, muted } = await annHost.get("status");
  assert.deepEqual({ receipts, downloads, muted }, { receipts: false, downloads: "/srv/from colleagues", muted: [boHost.id] });
  // Whoever is muted is counted in the list, and not in the title.
  await page.evaluate(() => { Object.defineProperty(document, "hasFocus", { value: () => false }); });
  await boHost.tell(annHost, "quietly");
  await page.locator(".count.muted").waitFor();
  assert.equal(await page.title(), "Hallway");
}
