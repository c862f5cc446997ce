// What must hold of every screen: nothing that axe finds, and a layout that is whole.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const AXE = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const RULES = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };

/** A desktop window, letters twice as large in one, and the narrowest that has to do. */
const SIZES = [{ width: 1280, height: 800 }, { width: 640, height: 400 }, { width: 360, height: 640 }];

/**
 * Rules over boxes, so that no letter's width decides: what sticks out of the window or of its
 * parent, what is cut off, what lies on its neighbour, and what cannot be clicked as something else
 * is above it.
 */
function disorder() {
  const TOLERANCE = 2;
  /** These are meant to be above others. */
  const ABOVE = ".actions, .menu div, .latest, .notices";
  const found = [];
  const layer = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  const name = (element) => `${element.localName}${element.className ? `.${String(element.className.baseVal ?? element.className).replaceAll(" ", ".")}` : ""} “${element.textContent.slice(0, 30)}”`;
  const say = (what, ...elements) => found.push(`${what}: ${elements.map(name).join(" and ")}`);
  const box = (element) => element.getBoundingClientRect();
  const style = (element) => getComputedStyle(element);
  /** Words for screen readers alone are one clipped pixel. */
  const hidden = (element) => Boolean(element) && (style(element).clipPath !== "none" || hidden(element.parentElement));
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && box(element).width > 1 && box(element).height > 1 && !hidden(element);
  const flows = (element) => ["static", "relative"].includes(style(element).position);
  const inline = (element) => style(element).display === "inline";
  const scrolls = (value) => ["auto", "scroll"].includes(value);

  const all = [...layer.querySelectorAll("*")].filter((element) => !element.closest("svg svg, svg *") && shown(element));
  for (const element of all) {
    const { overflowX, overflowY, textOverflow } = style(element);
    const parent = element.parentElement;
    const [own, outer] = [box(element), box(parent)];
    // Sideways only code may scroll.
    const sideways = element.scrollWidth > element.clientWidth + TOLERANCE;
    if (scrolls(overflowX) && sideways && !element.matches("pre, .long, textarea")) say("scrolls sideways", element);
    if (overflowX === "hidden" && textOverflow !== "ellipsis" && sideways && !element.matches("blockquote, .meter")) say("is cut off", element);
    if (element.matches("button, summary, h1, h2, h3, label, p") && textOverflow !== "ellipsis" && sideways && !inline(element)) say("is too narrow for its words", element);
    if (!flows(element) || inline(element) || inline(parent) || parent === document.documentElement) continue;
    const around = style(parent);
    if (around.overflowX === "visible" && (own.left < outer.left - TOLERANCE || own.right > outer.right + TOLERANCE)) say("sticks out sideways of its parent", element, parent);
    if (around.overflowY === "visible" && (own.top < outer.top - TOLERANCE || own.bottom > outer.bottom + TOLERANCE) && !element.matches(".meta")) say("sticks out of its parent", element, parent);
    for (let next = element.nextElementSibling; next; next = next.nextElementSibling) {
      if (!shown(next) || !flows(next) || inline(next)) continue;
      const other = box(next);
      const wide = Math.min(own.right, other.right) - Math.max(own.left, other.left);
      const high = Math.min(own.bottom, other.bottom) - Math.max(own.top, other.top);
      if (wide > TOLERANCE && high > TOLERANCE) say("lies on its neighbour", element, next);
    }
  }
  for (const control of all.filter((element) => element.matches("button, input, select, textarea, summary, a"))) {
    const { left, right, top, bottom } = box(control);
    if (left < -TOLERANCE || right > innerWidth + TOLERANCE) say("is outside of the window", control);
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    // What is scrolled away is reached by scrolling.
    let clipped = x < 0 || y < 0 || x >= innerWidth || y >= innerHeight;
    let above = null;
    for (let outer = control.parentElement; outer; outer = outer.parentElement) {
      const edge = box(outer);
      if (style(outer).overflowY !== "visible" && (y < edge.top || y > edge.bottom || x < edge.left || x > edge.right)) {
        clipped = true;
        if (!scrolls(style(outer).overflowY) && !scrolls(style(outer).overflowX) && !outer.matches(".who b")) above = outer;
      }
      if (scrolls(style(outer).overflowY)) break;
    }
    if (above) say("is cut off by", control, above);
    if (clipped || inline(control)) continue;
    const hit = document.elementFromPoint(x, y);
    if (hit && !control.contains(hit) && !hit.closest(ABOVE)) say("is covered", control, hit);
  }
  if (document.documentElement.scrollWidth > innerWidth) say("is wider than the window", document.documentElement);
  return found;
}

/** Looks at a screen as it is: at each size, in light and dark. */
export async function look(person, name) {
  const { page } = person;
  const still = () => page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished)));
  await still();
  await person.shot(name);
  const before = page.viewportSize();
  for (const size of SIZES) {
    await page.setViewportSize(size);
    // Two frames later sizes that depend on others have settled.
    await page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));
    assert.deepEqual(await page.evaluate(disorder), [], `${name} at ${size.width} × ${size.height}`);
  }
  await page.setViewportSize(before);
  if (!(await page.evaluate(() => Boolean(globalThis.axe)))) await page.evaluate(AXE);
  const own = await page.evaluate(() => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  for (const colorScheme of [own === "dark" ? "light" : "dark", own]) {
    await page.emulateMedia({ colorScheme });
    // Colours are measured when nothing moves any more.
    await still();
    const violations = await page.evaluate(async (rules) => (await globalThis.axe.run(document, rules)).violations, RULES);
    const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`);
    assert.deepEqual(said, [], `${name}, ${colorScheme}`);
  }
}

/** Each of these breaks a screen with a talk, and is seen as what it is. */
const FAULTS = [
  [".bubble { width: 1200px; max-width: none; flex: none; }", "sticks out sideways of its parent"],
  [".composer .line { height: 10px; }", "sticks out of its parent"],
  [".head .who { margin-right: -120px; }", "lies on its neighbour"],
  [".talk::before { content: ''; position: absolute; inset: 0; z-index: 2; }", "is covered"],
  [".people footer { width: 60px; overflow: hidden; white-space: nowrap; }", "is cut off"],
  [".composer button { width: 20px; padding: 0; }", "is too narrow for its words"],
  [".day { width: 4000px; }", "scrolls sideways"],
  [".head .menu { position: relative; left: 60px; }", "is outside of the window"],
];

/** That the rules see what they are for. */
export async function looksHard(person) {
  const { page } = person;
  for (const [fault, expected] of FAULTS) {
    await page.evaluate((text) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      document.adoptedStyleSheets = [sheet];
    }, fault);
    const found = await page.evaluate(disorder);
    assert.ok(found.some((one) => one.startsWith(expected)), `${fault} is not seen: ${found}`);
  }
  await page.evaluate(() => { document.adoptedStyleSheets = []; });
}
