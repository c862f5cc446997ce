// Who is called hears it on the page, answers, and is told how it goes; nobody here has sound.
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function calls(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const bo = await (await Person.at(boHost, { locale: "zh-CN", colorScheme: "dark" })).open();
  await ann.choose("Bo");
  await ann.page.locator(".head").getByRole("button", { name: "Call" }).click();
  await ann.page.locator(".call", { hasText: /Calling Bo|Ringing at Bo/u }).waitFor();
  const ringing = bo.page.getByRole("alertdialog", { name: "Ann 来电" });
  await ringing.waitFor();
  await look(ann, "calling-light-en");
  await look(bo, "ringing-dark-zh");
  await ringing.getByRole("button", { name: "接听" }).click();
  const bar = ann.page.locator(".call[role=region]");
  await bar.getByRole("meter", { name: "Bo" }).waitFor();
  await bo.page.locator(".call").getByRole("button", { name: "静音" }).click();
  await bar.getByText("their microphone is off").waitFor();
  await look(ann, "call-light-en");
  // Held down, the button lets through what is said; let go, it does not.
  const push = bo.page.getByRole("button", { name: "按住说话" });
  await push.hover();
  await bo.page.mouse.down();
  await bar.getByText("their microphone is off").waitFor({ state: "detached" });
  await look(bo, "talking-dark-zh");
  await bo.page.mouse.up();
  await bar.getByText("their microphone is off").waitFor();
  await push.focus();
  await bo.page.keyboard.down("Space");
  await bar.getByText("their microphone is off").waitFor({ state: "detached" });
  await bo.page.keyboard.up("Space");
  await bar.getByText("their microphone is off").waitFor();
  await bo.page.locator(".call").getByRole("button", { name: "保持" }).click();
  await bar.getByText("on hold by the other side").waitFor();
  await look(ann, "held-light-en");
  await look(bo, "holding-dark-zh");
  await bar.getByRole("button", { name: "Hang up" }).click();
  await bo.page.locator(".call").waitFor({ state: "detached" });
  await ann.message(/Call, \d/u).waitFor();
  await bo.choose("Ann");
  await bo.message("语音通话").waitFor();
  await bo.shot("called-dark-zh");

  await ann.page.locator(".head").getByRole("button", { name: "Call" }).click();
  await ringing.getByRole("button", { name: "拒绝" }).click();
  await ann.message("Declined call").waitFor();
  await bo.page.locator(".head").getByRole("button", { name: "语音通话" }).click();
  await ann.page.getByRole("alertdialog", { name: "Bo is calling" }).waitFor();
  await look(ann, "ringing-light-en");
  await look(bo, "calling-dark-zh");
  await ann.page.getByRole("button", { name: "Answer" }).click();
  await bo.page.locator(".call[role=region]").getByRole("meter", { name: "Ann" }).waitFor();
  await ann.page.locator(".call").getByRole("button", { name: "Hold" }).click();
  await bo.page.locator(".call").getByText("对方已保持通话").waitFor();
  await look(bo, "held-dark-zh");
}
