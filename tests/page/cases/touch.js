// On a phone-sized screen without a mouse: a finger reaches all that can be done with a message.
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function touch(annHost, boHost) {
  const ann = await (await Person.at(annHost, { hasTouch: true, viewport: { width: 360, height: 640 } })).open();
  const { page } = ann;
  await page.locator(".lists button.person").tap();
  await ann.say("a longer text of mine that goes over more than one line in a narrow window, as many do");
  await boHost.tell(annHost, "a short one");
  await ann.message("a longer text").tap();
  await look(ann, "touch-own-light-en");
  await page.getByRole("button", { name: "React" }).tap();
  await look(ann, "touch-emoji-light-en");
  await ann.message("a short one").tap();
  await page.getByRole("button", { name: "React" }).tap();
  await look(ann, "touch-theirs-light-en");
  await page.getByRole("button", { name: "🎉" }).tap();
  await ann.message("a short one").locator(".reactions", { hasText: "🎉" }).waitFor();
  await page.getByRole("button", { name: "Back" }).tap();
  await page.locator(".lists button.person").waitFor();
}
