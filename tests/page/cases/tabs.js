// One tab is live; another that opens takes over, and the first offers to take it back.
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function tabs(annHost, boHost) {
  for (const [name, words, options] of [
    ["light-en", { here: "Use it here", draft: "Draft:" }, {}],
    ["dark-zh", { here: "在此使用", draft: "草稿：" }, { locale: "zh-CN", colorScheme: "dark" }],
  ]) {
    const ann = await (await Person.at(annHost, options)).open();
    const first = ann.page;
    await ann.choose("Bo");
    await ann.area.fill("begun in the first tab");
    const second = await ann.tab();
    await second.locator(".lists button.person").waitFor();
    const offer = first.getByRole("button", { name: words.here });
    await offer.waitFor();
    await look(ann, `second-tab-${name}`);
    await boHost.tell(annHost, `still there, ${name}?`);
    await second.locator(".lists .count").waitFor();
    await second.locator(".lists", { hasText: `${words.draft} begun in the first tab` }).waitFor();
    await first.bringToFront();
    await offer.click();
    await second.getByRole("button", { name: words.here }).waitFor();
    await first.locator("li.message", { hasText: `still there, ${name}?` }).waitFor();
    await ann.until(() => document.querySelector("textarea").value === "begun in the first tab");
    await ann.leave();
  }
}
