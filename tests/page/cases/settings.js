// What can be chosen: it is done at once, told where it should be, and still so after a reload.
import assert from "node:assert/strict";
import { Person } from "../people.js";

export default async function settings(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const { page } = ann;
  const dialog = page.locator("dialog");
  const close = async () => {
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  };
  const said = (words) => page.getByRole("status").filter({ hasText: words }).first().waitFor();
  await page.locator(".mine button").click();

  // A name that is none is refused in words, and one that is one is told to others.
  const name = dialog.getByRole("textbox", { name: "Your name" });
  await name.fill("A".repeat(70));
  assert.equal((await name.inputValue()).length, 64);
  await name.fill("安 Ann");
  await name.press("Enter");
  await page.locator(".mine", { hasText: "安 Ann" }).waitFor();
  while ((await boHost.get(`peers/${annHost.id}`)).name !== "安 Ann");
  await dialog.getByRole("combobox", { name: "Status" }).selectOption("away");
  while ((await boHost.get(`peers/${annHost.id}`)).status !== "away");
  const folder = dialog.getByRole("textbox", { name: "Folder for files" });
  await folder.fill("not absolute");
  await folder.press("Enter");
  await said("That did not work");
  await dialog.getByRole("combobox", { name: /taken without asking/u }).selectOption("0");
  while ((await annHost.get("status")).accept_files_bytes !== 0);

  // Light and dark at once; the other language, too, with its letters.
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await dialog.getByRole("combobox", { name: "Appearance" }).selectOption("dark");
  await page.waitForFunction((was) => getComputedStyle(document.body).backgroundColor !== was, light);
  const dark = await ground();
  await dialog.getByRole("combobox", { name: "Language" }).selectOption("zh");
  await page.locator("dialog h2", { hasText: "设置" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  assert.equal(await page.evaluate(() => document.documentElement.translate), false);
  await page.reload();
  await page.locator(".mine button").click();
  await page.locator("dialog h2", { hasText: "设置" }).waitFor();
  assert.equal(await ground(), dark);
  await dialog.getByRole("combobox", { name: "语言" }).selectOption("en");
  await dialog.getByRole("combobox", { name: "Appearance" }).selectOption("light");
  await page.locator("dialog h2", { hasText: "Settings" }).waitFor();
  await page.waitForFunction((was) => getComputedStyle(document.body).backgroundColor === was, light);

  // Somebody by their address, now and at every start.
  const [address] = (await annHost.get(`peers/${boHost.id}`)).addresses;
  const where = dialog.getByRole("textbox", { name: "Connect by address" });
  await where.fill(address);
  await where.press("Enter");
  await said("Connected to Bo");
  const kept = dialog.locator("li", { hasText: address });
  await kept.waitFor();
  assert.deepEqual((await annHost.get("status")).static_peers, [address]);
  await kept.getByRole("button").click();
  await kept.waitFor({ state: "detached" });
  assert.deepEqual((await annHost.get("status")).static_peers, []);
  await dialog.getByRole("combobox", { name: "Microphone" }).getByRole("option", { name: "As the system" }).waitFor({ state: "attached" });

  // Blocked in the talk, and let in again here.
  await close();
  await ann.choose("Bo");
  await page.locator(".menu summary").click();
  await page.locator(".menu").getByRole("button", { name: "Block" }).click();
  await dialog.getByRole("button", { name: "Block" }).click();
  await page.locator(".lists button.person", { hasText: "Bo" }).waitFor({ state: "detached" });
  assert.equal((await annHost.get(`peers/${boHost.id}`)).blocked, true);
  await page.locator(".mine button").click();
  await dialog.getByRole("button", { name: "Unblock: Bo" }).click();
  await close();
  await ann.choose("Bo");
  await ann.say("you again");
  await ann.message("you again").getByRole("img", { name: /Delivered|Read/u }).waitFor();

  // A key goes to whoever has written.
  await page.evaluate(() => localStorage.removeItem("hallway.talk"));
  await page.reload();
  await boHost.tell(annHost, "are you there?");
  await page.locator(".lists .count").waitFor();
  await page.keyboard.press("Alt+a");
  await ann.message("are you there?").waitFor();
  await page.locator(".lists .count").waitFor({ state: "detached" });

  // Whoever answers a question with the keyboard is where they were before.
  await ann.message("you again").focus();
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("Tab");
  await ann.until(() => document.activeElement.matches("[aria-label=Delete]"));
  await page.keyboard.press("Enter");
  await dialog.waitFor();
  await close();
  await ann.until(() => document.activeElement.matches("[aria-label=Delete]"));
}
