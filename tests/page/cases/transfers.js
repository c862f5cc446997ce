// How files on their way stand: each state is told on both sides, with what can be done.
import { rename } from "node:fs/promises";
import { look } from "../look.js";
import { Person } from "../people.js";

export default async function transfers(annHost, boHost) {
  const ann = await (await Person.at(annHost)).open();
  const bo = await (await Person.at(boHost, { locale: "zh-CN", colorScheme: "dark" })).open();
  await ann.choose("Bo");
  await bo.choose("Ann");
  const outbox = `${annHost.home}/outbox`;
  const offer = (name) => annHost.post("files", { to: boHost.id, path: `${outbox}/${name}` });
  const is = (person, name, words) => person.message(name).getByText(words).waitFor();
  const press = (person, name, word) => person.message(name).getByRole("button", { name: word }).click();

  // Four of one person come at once.
  for (const name of ["1.img", "2.img", "3.img", "4.img", "5.img"]) await offer(name);
  await is(ann, "5.img", "Waits for its turn");
  await is(bo, "5.img", "排队中");
  await is(bo, "1.img", "传输中");
  await press(ann, "1.img", "Pause");
  await is(ann, "1.img", "Paused by you");
  await is(bo, "1.img", "对方已暂停");
  await press(bo, "2.img", "暂停");
  await is(bo, "2.img", "你已暂停");
  await is(ann, "2.img", "Paused by them");
  await press(bo, "4.img", "取消");
  await is(ann, "4.img", "Cancelled by them");
  // What is sent is gone from where it was; once it is back it is sent again.
  await is(ann, "3.img", "On its way");
  await rename(`${outbox}/3.img`, `${outbox}/hidden.img`);
  await is(ann, "3.img", "Failed: the file is no longer where it was sent from");
  await is(bo, "3.img", "失败：原文件已不在发送时的位置");
  await look(ann, "transfers-light-en");
  await look(bo, "transfers-dark-zh");
  await press(ann, "3.img", "Send again");
  await ann.page.getByRole("status").filter({ hasText: "That did not work" }).waitFor();
  await rename(`${outbox}/hidden.img`, `${outbox}/3.img`);
  await press(ann, "3.img", "Send again");
  await ann.page.locator("li.message", { hasText: "3.img" }).nth(1).waitFor();

  // More than the other's disk holds, and than is taken without asking.
  await offer("large.img");
  await is(ann, "large.img", "Waits for an answer");
  await press(bo, "large.img", "接受");
  await is(bo, "large.img", "磁盘空间不足：请清理，之后会自动继续");
  await is(ann, "large.img", "Waits: their disk is full");
  await look(ann, "no-room-light-en");
  await look(bo, "no-room-dark-zh");
  await offer("unwanted.img");
  await press(bo, "unwanted.img", "拒绝");
  await is(ann, "unwanted.img", "Declined");
  await boHost.kill();
  await is(ann, "large.img", "Waits until they are back");
  await ann.shot("nobody-there-light-en");
}
