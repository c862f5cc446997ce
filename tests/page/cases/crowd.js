// A talk of 100,000 messages: some three hundred are mounted, and every one can be reached.
import assert from "node:assert/strict";
import { Person } from "../people.js";

/** As state.js has them: what is mounted, and what may come on top while somebody reads. */
const ROWS = 300 + 100;

const mounted = (page) => page.locator("li.message").count();

/** What of the talk is there and in sight; or whether that is something else than before. */
function shown(before) {
  const rows = [...document.querySelectorAll("li.message")].map((row) => row.id);
  const now = [document.querySelector(".log").scrollTop, ...rows].join();
  return before === undefined ? now : now !== before;
}

/** Turns the wheel until something of the talk is in sight. */
async function wheel(person, direction, text) {
  const { page } = person;
  const box = await page.locator(".log").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  for (;;) {
    const found = await page.locator("li.message", { hasText: text }).count();
    if (found) return;
    const before = await page.evaluate(shown);
    await page.mouse.wheel(0, direction * 3000);
    // It goes on there, or more comes in at the end that was reached.
    await person.until(shown, before);
    assert.ok((await mounted(page)) <= ROWS);
  }
}

export default async function crowd(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const { page } = ann;
  await ann.choose("Bo");
  await ann.message("message 100000.").waitFor();
  await page.locator("li.message", { hasText: "message 99950." }).waitFor();
  assert.ok((await mounted(page)) <= ROWS);
  await wheel(ann, -1, "message 98800.");
  // What is in sight stays where it is while others come in above and below.
  await page.locator("li.message", { hasText: "message 98900." }).scrollIntoViewIfNeeded();
  await boHost.tell(annHost, "while you were reading");
  assert.equal(await ann.message("while you were reading").count(), 0);
  await page.getByRole("button", { name: "To the latest" }).click();
  await ann.message("while you were reading").waitFor();
  await page.waitForFunction(() => {
    const log = document.querySelector(".log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  });
  await boHost.tell(annHost, "and now");
  await ann.message("and now").waitFor();
  assert.ok(await ann.message("and now").evaluate((row) => row.getBoundingClientRect().bottom <= document.querySelector(".log").getBoundingClientRect().bottom));

  // A day long ago, and on from there; the beginning; what is found.
  await page.locator(".menu summary").click();
  await page.getByRole("button", { name: "Go to a date…" }).click();
  await page.locator("input[type=date]").fill("2024-06-01");
  await page.getByRole("button", { name: "Show" }).click();
  const marked = page.locator("li.marked");
  await marked.waitFor();
  assert.match(await marked.locator("time").getAttribute("title"), /Jun 1, 2024|May 31, 2024/u);
  const number = Number(/message (\d+)\./u.exec(await marked.innerText())[1]);
  await wheel(ann, 1, `message ${number + 500}.`);
  await page.keyboard.press("Control+k");
  await page.locator("dialog input[type=search]").fill("message 4321");
  await page.locator("dialog .found button", { hasText: "message 4321" }).first().click();
  await page.locator("li.marked", { hasText: /message 4321/u }).waitFor();
  await page.locator(".menu summary").click();
  await page.getByRole("button", { name: "Go to a date…" }).click();
  await page.locator("input[type=date]").fill("2001-01-01");
  await page.getByRole("button", { name: "Show" }).click();
  await page.locator("li.marked", { hasText: "message 1." }).waitFor();
  assert.ok((await mounted(page)) <= ROWS);
}
