// A window of its own: a click on a notification opens the talk in another, and the first goes.
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { chromium } from "playwright-core";

export default async function windows(annHost, boHost) {
  const address = async () => (await annHost.post("open")).url;
  const profile = await mkdtemp(`${tmpdir()}/profile-`);
  // As `hallway open` starts it.
  const args = ["--disable-gpu", `--app=${await address()}`];
  const context = await chromium.launchPersistentContext(profile, { executablePath: annHost.browser, args });
  const [first] = context.pages();
  const welcome = first.locator("dialog form button.primary");
  await welcome.click();
  await welcome.waitFor({ state: "detached" });
  await first.locator(".lists button.person", { hasText: "Bo" }).click();
  await first.locator("textarea").fill("begun in the first window");

  const gone = first.waitForEvent("close");
  const second = await context.newPage();
  await second.goto(`${await address()}&peer=${boHost.id}`);
  await gone;
  await second.waitForFunction(() => document.querySelector("textarea")?.value === "begun in the first window");

  // A tab is not ours to close: it offers to go on there.
  const third = await context.newPage();
  await third.goto(await address());
  await third.locator(".lists button.person", { hasText: "Bo" }).waitFor();
  await second.getByRole("button", { name: "Use it here" }).waitFor();
  await context.close();
}
