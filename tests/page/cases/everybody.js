// Every screen, light and dark, in both languages: for screen readers, narrow windows, large
// letters and the keyboard alone.
import { look, looksHard } from "../look.js";
import { Person } from "../people.js";

/** Goes through all screens; `words` are what buttons are called in a language. */
async function tour(person, name, words) {
  const { page } = person;
  const close = async () => {
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
  };
  await person.message("three of them").waitFor();
  await look(person, `talk-${name}`);
  await page.keyboard.press("Control+k");
  await page.locator("dialog input[type=search]").fill("hello");
  await page.locator("dialog .found time").first().waitFor();
  await look(person, `search-${name}`);
  await close();
  await page.locator(".head button.link").click();
  await page.locator("dialog .qr").waitFor();
  await look(person, `verify-${name}`);
  await close();
  await page.locator(".menu summary").click();
  await look(person, `menu-${name}`);
  await page.locator(".menu button", { hasText: words.goto }).click();
  await look(person, `goto-${name}`);
  await close();
  if (await page.locator(".back").isVisible()) {
    await page.locator(".back").click();
    await look(person, `people-${name}`);
  }
  await page.locator(".people footer button").click();
  await page.locator("dialog .checks li").first().waitFor();
  await look(person, `doctor-${name}`);
  await close();
  await page.locator(".mine button").click();
  await page.locator("dialog select").nth(4).waitFor();
  await look(person, `settings-${name}`);
  await page.locator("dialog .sheet").evaluate((sheet) => sheet.lastElementChild.scrollIntoView());
  await person.shot(`settings-end-${name}`);
  await page.locator("dialog").getByRole("button", { name: words.tokens }).click();
  await page.getByRole("radio").nth(1).check();
  await look(person, `tokens-${name}`);
  await close();
  if (await page.locator(".lists button.person", { hasText: "Bo" }).isVisible()) await person.choose("Bo");
}

export default async function everybody(annHost, boHost) {
  await boHost.tell(annHost, "a longer text, with `code`, a link https://example.com/a?b=c and\n```\na block\n```");
  await annHost.tell(boHost, "three of them");
  const english = { goto: "Go to a date", tokens: "Tokens of bots" };
  const chinese = { goto: "跳转到日期", tokens: "机器人令牌" };
  for (const [name, words, options] of [
    ["light-en", english, { colorScheme: "light" }],
    ["dark-zh", chinese, { colorScheme: "dark", locale: "zh-CN" }],
    ["narrow-dark-en", english, { colorScheme: "dark", viewport: { width: 360, height: 640 } }],
    // Twice as large letters on a screen of 1280 × 800.
    ["zoomed-light-zh", chinese, { colorScheme: "light", locale: "zh-CN", viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 }],
  ]) {
    const ann = await Person.at(annHost, { ...options, reducedMotion: "reduce" });
    ann.page = await ann.tab();
    await ann.page.locator("dialog form").waitFor();
    await look(ann, `welcome-${name}`);
    await ann.page.locator("dialog form button.primary").click();
    await ann.page.locator("dialog").waitFor({ state: "detached" });
    await look(ann, `start-${name}`);
    await ann.choose("Bo");
    if (name === "light-en") await looksHard(ann);
    await tour(ann, name, words);
    await ann.leave();
  }
}
