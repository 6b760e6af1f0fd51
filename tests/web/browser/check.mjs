// node check.mjs ADDRESS CHROMIUM SHOTS: uses the page as people do, prints what was seen as JSON.

import { compareSamples, launch, openPage, ready } from "./browser.mjs";

const [address, executable, folder] = process.argv.slice(2);
const browser = await launch(executable);
const seen = {};

async function scenario(name, options, steps) {
  const { page, wrong } = await openPage(browser, address, options);
  page.setDefaultTimeout(15_000);
  try {
    await ready(page);
    seen[name] = { ...(await steps(page)), wrong };
  } catch (error) {
    await page.screenshot({ path: `${folder}/failed_${name}.png` });
    seen[name] = { failed: error.message, wrong };
  }
  await page.context().close();
}

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

// Presses Tab until `wanted` holds of the element in focus.
async function tabTo(page, wanted) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(wanted)) return true;
  }
  throw new Error(`no Tab leads to ${wanted}`);
}

await scenario("compare", {}, async (page) => {
  await compareSamples(page, 1, 1);
  const first = await page.textContent("#verdict");
  await compareSamples(page, 3, 3);
  return {
    verdict: first,
    sign: await page.textContent("#sign"),
    cells: await page.locator(".heat span").count(),
    labels: await page.locator(".heat").evaluateAll((all) => all.map((heat) => heat.getAttribute("aria-label"))),
    note: await page.textContent("#model-note"),
    live: await page.getAttribute("#verdict", "aria-live"),
  };
});

await scenario("keyboard", {}, async (page) => {
  await tabTo(page, () => document.activeElement.id === "tab-compare");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  await tabTo(page, () => document.activeElement.getAttribute("aria-label")?.startsWith("Sample 1"));
  await page.keyboard.press("Enter");
  await page.waitForSelector("#slot-a .slot.full");
  await tabTo(page, () => document.activeElement.getAttribute("aria-label")?.startsWith("Sample 2"));
  await page.keyboard.press("Enter");
  await page.waitForSelector("#result:not([hidden])");
  const verdict = await page.textContent("#verdict");
  await page.keyboard.press("Control+Home");
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, () => document.activeElement.id === "tab-compare");
  await page.keyboard.press("ArrowRight");
  await page.waitForSelector("#gallery:not([hidden])");
  await tabTo(page, () => document.activeElement.id === "name");
  await page.keyboard.type("Ada");
  await page.keyboard.press("Tab");
  await page.keyboard.type("form 7");
  await page.keyboard.press("Tab");
  await page.keyboard.type("a test");
  for (const number of [1, 2]) {
    await page.evaluate(() => document.getElementById("purpose").focus());
    await tabTo(page, `document.activeElement.closest("#slot-enrol") && document.activeElement.getAttribute("aria-label")?.startsWith("Sample ${number}")`);
    await page.keyboard.press("Enter");
    await page.waitForSelector(`#thumbs > :nth-child(${number})`);
  }
  await tabTo(page, () => document.activeElement.id === "enrol-button");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#people li");
  const enrolled = await page.textContent("#enrolled");
  await tabTo(page, () => document.activeElement.textContent === "Template");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".template .bar");
  const bars = await page.locator(".template .bar").count();
  await tabTo(page, () => document.activeElement.textContent === "Remove");
  await page.keyboard.press("Enter");
  const kept = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("#people li"));
  return { outline, verdict, enrolled, bars, kept, people: await page.textContent("#people-note") };
});

await scenario("phone", { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }, async (page) => {
  await page.getByRole("button", { name: "Sample 1" }).first().tap();
  await page.waitForSelector("#slot-a .slot.full");
  await page.getByRole("button", { name: "Sample 3" }).first().tap();
  await page.waitForSelector("#result:not([hidden])");
  const compare = await overflow(page);
  await page.getByRole("tab", { name: "Gallery" }).tap();
  await page.waitForSelector("#gallery:not([hidden])");
  const small = await page.locator("button:visible, input:visible, select:visible").evaluateAll((all) => all
    .map((element) => [element.id || element.textContent || element.type, element.getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 24).map(([name]) => name));
  return { compare, gallery: await overflow(page), small };
});

await scenario("choose", {}, async (page) => {
  await page.setInputFiles("#slot-a input", { name: "a.txt", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#verdict.wrong");
  const refused = await page.textContent("#verdict");
  const bytes = Buffer.from(await (await page.request.get(`${address}/page/sample_a.jpg`)).body());
  await page.setInputFiles("#slot-a input", { name: "a.jpg", mimeType: "image/jpeg", buffer: bytes });
  await page.setInputFiles("#slot-b input", { name: "b.jpg", mimeType: "image/jpeg", buffer: bytes });
  await page.waitForSelector("#result:not([hidden])");
  const answered = page.waitForResponse((answer) => answer.url().includes("/v1/compare"));
  await page.evaluate(async () => {
    const data = new DataTransfer();
    data.items.add(new File([await (await fetch("/page/sample_c.jpg")).blob()], "c.jpg", { type: "image/jpeg" }));
    dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
  });
  return { refused, pasted: (await answered).status() };
});

await scenario("search", {}, async (page) => {
  await page.goto(`${address}/#gallery`);
  await page.reload();
  await ready(page);
  await page.fill("#name", "<b>Grace</b>");
  await page.fill("#reference", "form 8");
  await page.fill("#purpose", "a test");
  await page.locator("#slot-enrol").getByRole("button", { name: "Sample 3" }).click();
  await page.waitForSelector("#thumbs canvas");
  await page.click("#enrol-button");
  await page.waitForSelector("#people li");
  await page.locator("#slot-probe").getByRole("button", { name: "Sample 3" }).click();
  await page.waitForSelector("#candidates .bar");
  return { identity: await page.textContent("#identity"), best: await page.textContent("#candidates .bar span"), markup: await page.locator("#gallery b:not(.invite b)").count() };
});

console.log(JSON.stringify(seen));
await browser.close();
