// Two strangers find each other and talk, one in English and one in Chinese.
import assert from "node:assert/strict";
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function meet(annHost, boHost) {
  const ann = await Person.at(annHost);
  // Bo's desktop is Chinese, and his browser knows only English.
  const bo = await Person.at(boHost, { colorScheme: "dark" });
  ann.page = await ann.tab();
  bo.page = await bo.tab("&lang=zh");
  // The first question is for the name, which is filled in.
  const name = ann.page.getByRole("textbox", { name: "Your name" });
  assert.equal(await name.inputValue(), "Ann");
  await ann.shot("welcome-light-en");
  await name.fill("Ann 安");
  await name.press("Enter");
  await bo.page.getByRole("button", { name: "开始" }).click();
  assert.equal(await bo.page.evaluate(() => document.documentElement.lang), "zh-CN");

  await ann.choose("Bo");
  await bo.page.locator("section[aria-label=附近]", { hasText: "Ann 安" }).waitFor();
  await ann.say("Lunch at noon? 一起吃午饭吗？");
  // A stranger's message waits as a request, and nothing tells that it was seen.
  await bo.page.locator("section[aria-label=请求] button.person").click();
  await bo.page.getByRole("alert").filter({ hasText: "Ann 安 想和你聊天" }).waitFor();
  await look(bo, "request-dark-zh");
  const reader = await (await Person.at(boHost)).open();
  await reader.choose("Ann 安");
  await look(reader, "request-light-en");
  await reader.leave();
  await bo.page.getByRole("button", { name: "接受" }).click();
  await bo.page.getByRole("alert").waitFor({ state: "detached" });
  await bo.say("好的，十二点");
  await ann.message("好的，十二点").waitFor();
  await bo.message("好的，十二点").getByRole("img", { name: "已读" }).waitFor();
  await ann.message("Lunch at noon").getByRole("img", { name: "Read" }).waitFor();

  // Answer, mark, change, take back.
  await ann.message("好的").hover();
  await ann.message("好的").getByRole("button", { name: "Reply" }).click();
  await ann.area.pressSequentially("se you there");
  await bo.page.locator(".typing", { hasText: "Ann 安 正在输入" }).waitFor();
  await ann.area.press("Enter");
  await bo.message("se you there").locator("blockquote", { hasText: "好的，十二点" }).waitFor();
  await ann.area.press("ArrowUp");
  await ann.until(() => document.querySelector("textarea").value === "se you there");
  await ann.say("see you `there`: https://example.com/room");
  await bo.message("see you there").locator("code", { hasText: "there" }).waitFor();
  assert.equal(await bo.message("see you").locator("a").getAttribute("href"), "https://example.com/room");
  await bo.message("see you").hover();
  await bo.message("see you").getByRole("button", { name: "表情" }).click();
  await bo.message("see you").getByRole("button", { name: "👍" }).click();
  await ann.message("see you").locator(".reactions", { hasText: "👍" }).waitFor();
  await ann.say("oops");
  await bo.message("oops").waitFor();
  await ann.message("oops").hover();
  await ann.message("oops").getByRole("button", { name: "Delete" }).click();
  await ann.page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await bo.message("消息已撤回").waitFor();

  // The same with the keyboard alone: from where one writes up to the messages, and into one.
  const { keyboard } = ann.page;
  const focused = (what) => ann.until((wanted) => document.activeElement.matches(wanted), what);
  await ann.area.press("Shift+Tab");
  await keyboard.press("Shift+Tab");
  await focused(".log, .log *");
  const row = () => ann.page.evaluate(() => document.activeElement.closest("li.message")?.querySelector(":scope > .bubble > .text")?.textContent);
  while (!(await row())?.includes("好的")) await keyboard.press("ArrowUp");
  await focused("li.message");
  await keyboard.press("Tab");
  await focused("[aria-label=React]");
  await keyboard.press("Enter");
  await focused(".actions button");
  await keyboard.press("Enter");
  await bo.message("好的").locator(".reactions", { hasText: "👍" }).waitFor();
  await focused("li.message");
  // It stands before what can be done.
  await ann.message("好的").locator(".reactions", { hasText: "👍" }).waitFor();
  for (let i = 0; i < 3; i += 1) await keyboard.press("Tab");
  await focused("[aria-label=Reply]");
  await keyboard.press("Enter");
  await focused("textarea");
  await ann.page.locator(".composer .about", { hasText: "好的" }).waitFor();
  await keyboard.press("Escape");
  await keyboard.press("Control+k");
  await ann.page.locator("dialog input").fill("noon");
  await ann.page.locator("dialog time").waitFor();
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  await ann.page.locator("li.marked", { hasText: "Lunch at noon" }).waitFor();
  await ann.shot("talk-light-en");
  await bo.shot("talk-dark-zh");
}
