// A token for a bot: made on the page, good for what was allowed and nothing else, and revoked.
import assert from "node:assert/strict";
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function tokens(annHost, boHost) {
  const ann = await (await Person.at(annHost, { permissions: ["clipboard-read", "clipboard-write"] })).open();
  const { page } = ann;
  await page.locator(".mine button").click();
  await page.locator("dialog").getByRole("button", { name: "Tokens of bots" }).click();
  const dialog = page.getByRole("dialog", { name: "Tokens of bots" });
  await dialog.getByText("There is no token yet.").waitFor();
  const make = dialog.getByRole("button", { name: "Make the token" });
  assert.ok(await make.isDisabled());
  await dialog.getByRole("textbox", { name: "What is it for?" }).fill("notes / 笔记");
  await dialog.getByRole("checkbox", { name: "send messages" }).uncheck();
  await dialog.getByRole("radio", { name: "only those with" }).check();
  // One for no conversation at all would be a mistake.
  assert.ok(await make.isDisabled());
  await dialog.getByRole("checkbox", { name: /^Bo/u }).check();
  await make.click();
  const secret = dialog.getByRole("textbox", { name: "Secret" });
  const said = await secret.inputValue();
  assert.match(said, /^hallway_[0-9a-f]{64}$/u);
  await dialog.getByRole("button", { name: "Copy: Secret" }).click();
  await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), said);
  assert.equal(await dialog.getByRole("textbox", { name: "Address of the API" }).inputValue(), new URL(page.url()).origin);
  await look(ann, "token-made-light-en");
  await dialog.getByRole("button", { name: "Done" }).click();
  await secret.waitFor({ state: "detached" });
  await dialog.locator("li", { hasText: "notes / 笔记" }).getByText(/read messages · only with Bo/u).waitFor();
  await look(ann, "tokens-light-en");

  const status = (path, body) => page.evaluate(async ([token, where, sent]) => {
    const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
    return (await fetch(`/api/v1/${where}`, { headers, ...(sent && { method: "POST", body: JSON.stringify(sent) }) })).status;
  }, [said, path, body]);
  assert.equal(await status(`log?peer=${boHost.id}`), 200);
  assert.equal(await status("messages", { to: boHost.id, text: "not allowed" }), 403);
  assert.equal(await status("tokens"), 403);

  // A name that is there already is refused in words, and what was filled in stays.
  await dialog.getByRole("textbox", { name: "What is it for?" }).fill("notes / 笔记");
  await make.click();
  await page.getByRole("status").filter({ hasText: /there is a token .* already/u }).waitFor();
  assert.equal(await dialog.getByRole("textbox", { name: "What is it for?" }).inputValue(), "notes / 笔记");

  await dialog.getByRole("button", { name: "Revoke…: notes / 笔记" }).click();
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  await dialog.getByRole("button", { name: "Revoke…: notes / 笔记" }).click();
  await page.getByRole("dialog", { name: /cut off at once/u }).getByRole("button", { name: "Revoke" }).click();
  await dialog.getByText("There is no token yet.").waitFor();
  assert.equal(await status(`log?peer=${boHost.id}`), 401);
}
