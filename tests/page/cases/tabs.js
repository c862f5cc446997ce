// One tab is live; another that opens takes over, and the first offers to take it back.
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function tabs(annHost, boHost) {
  for (const [name, here, options] of [
    ["light-en", "Use it here", {}],
    ["dark-zh", "在此使用", { locale: "zh-CN", colorScheme: "dark" }],
  ]) {
    const ann = await (await Person.at(annHost, options)).open();
    const first = ann.page;
    await ann.choose("Bo");
    await ann.area.fill("begun in the first tab");
    const second = await ann.tab();
    await second.locator(".lists button.person").waitFor();
    const offer = first.getByRole("button", { name: here });
    await offer.waitFor();
    await look(ann, `second-tab-${name}`);
    await boHost.tell(annHost, `still there, ${name}?`);
    // It shows the same talk, with what was begun there.
    await second.locator("li.message", { hasText: `still there, ${name}?` }).waitFor();
    await second.waitForFunction(() => document.querySelector("textarea").value === "begun in the first tab");
    await first.bringToFront();
    await offer.click();
    await second.getByRole("button", { name: here }).waitFor();
    await first.locator("li.message", { hasText: `still there, ${name}?` }).waitFor();
    await ann.until(() => document.querySelector("textarea").value === "begun in the first tab");
    await ann.leave();
  }
}
