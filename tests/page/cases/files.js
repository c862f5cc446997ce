// Files are dropped, pictures pasted, looked at before they go and when they have come.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function files(annHost, boHost, cyHost) {
  const ann = await (await Person.at(annHost, { permissions: ["clipboard-read", "clipboard-write"] })).open();
  const bo = await (await Person.at(boHost, { locale: "zh-CN", colorScheme: "dark" })).open();
  const cy = await (await Person.at(cyHost)).open();
  const { page } = ann;
  await ann.choose("Bo");
  await bo.choose("Ann");

  const path = `${tmpdir()}/年度报告 <b>2026.txt`;
  await writeFile(path, "all of it\n".repeat(1000));
  const box = await page.locator(".log").boundingBox();
  const drag = (type) => ann.cdp.send("Input.dispatchDragEvent", {
    type, x: box.x + box.width / 2, y: box.y + box.height / 2,
    data: { items: [], files: [path], dragOperationsMask: 1 },
  });
  await drag("dragEnter");
  // Whoever drags moves on and on, and so does a browser that is told once too early.
  while (!(await page.locator(".talk.over").isVisible())) await drag("dragOver");
  await ann.shot("drop-light-en");
  await drag("drop");
  await page.locator(".attached", { hasText: "年度报告 <b>2026.txt" }).waitFor();

  // A picture as a screenshot tool puts it on the clipboard.
  await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(640, 400);
    const paint = canvas.getContext("2d");
    paint.fillStyle = "#3a7";
    paint.fillRect(0, 0, 640, 400);
    paint.fillStyle = "#fff";
    paint.font = "60px sans-serif";
    paint.fillText("whiteboard 白板", 60, 220);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
  });
  await ann.area.focus();
  await page.keyboard.press("Control+V");
  const preview = page.locator(".attached img");
  await preview.waitFor();
  await ann.until(() => document.querySelector(".attached img").naturalWidth === 640);
  // To somebody else, too.
  await page.getByRole("button", { name: "Send to others too…" }).click();
  await page.getByRole("dialog", { name: "Send to others too…" }).getByRole("checkbox", { name: /^Cy/u }).check();
  await look(ann, "several-light-en");
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("button", { name: "Also to Cy" }).waitFor();
  await look(ann, "attached-light-en");
  await ann.say("two for you");
  await bo.message("two for you").waitFor();
  await bo.message("年度报告 _b_2026.txt").getByText("完成").waitFor();
  const shown = bo.page.locator("li.message .picture img");
  await shown.waitFor();
  await bo.until(() => document.querySelector(".picture img").naturalWidth > 0);
  await look(bo, "picture-dark-zh");
  await bo.page.locator("li.message .picture button").click();
  await bo.until(() => document.querySelector(".viewer img").naturalWidth === 640);
  await look(bo, "viewer-dark-zh");
  await bo.page.keyboard.press("Escape");
  await bo.page.locator(".viewer").waitFor({ state: "detached" });
  // The sender has kept what was sent, and can look at it too.
  await page.locator("li.message .picture button").click();
  await ann.until(() => document.querySelector(".viewer img").naturalWidth === 640);
  await look(ann, "viewer-light-en");
  await page.keyboard.press("Escape");
  await cy.choose("Ann");
  await cy.message("年度报告 _b_2026.txt").getByText("Complete").waitFor();
  assert.equal(await cy.message("two for you").count(), 0);
}
