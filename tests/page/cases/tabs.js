// One tab is live; another that opens takes over, and the first offers to take it back.
import { Person } from "../people.js";

export default async function tabs(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const first = ann.page;
  await ann.choose("Bo");
  await ann.area.fill("begun in the first tab");
  const second = await ann.tab();
  await second.locator(".lists button.person").waitFor();
  const offer = first.getByRole("button", { name: "Use it here" });
  await offer.waitFor();
  await ann.shot("second-tab");
  await boHost.tell(annHost, "still there?");
  await second.locator(".lists .count").waitFor();
  await second.locator(".lists", { hasText: "Draft: begun in the first tab" }).waitFor();
  await first.bringToFront();
  await offer.click();
  await second.getByRole("button", { name: "Use it here" }).waitFor();
  await first.locator("li.message", { hasText: "still there?" }).waitFor();
  await ann.until(() => document.querySelector("textarea").value === "begun in the first tab");
}
