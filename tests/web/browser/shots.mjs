// node shots.mjs ADDRESS CHROMIUM FOLDER: pictures of the page for the docs, of faces of nobody.

import { compareSamples, launch, openPage, ready } from "./browser.mjs";

const [address, executable, folder] = process.argv.slice(2);
const browser = await launch(executable);
const shoot = (page, name) => page.screenshot({ path: `${folder}/page_${name}.png`, fullPage: true });

async function compared(name, options, first, second) {
  const { page, wrong } = await openPage(browser, address, options);
  await ready(page);
  await compareSamples(page, first, second);
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForTimeout(500);
  await shoot(page, name);
  if (wrong.length) console.error(name, wrong);
  await page.context().close();
}

const desktop = { viewport: { width: 1000, height: 800 } };
const phone = { viewport: { width: 360, height: 700 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true };
await compared("compare", desktop, 1, 2);
await compared("compare_dark", { ...desktop, colorScheme: "dark" }, 1, 3);
await compared("phone", phone, 1, 2);
await compared("unsure", desktop, 1, 4);

for (const [name, options] of [["gallery", desktop], ["gallery_dark", { ...desktop, colorScheme: "dark" }], ["gallery_phone", phone]]) {
  const { page, wrong } = await openPage(browser, `${address}/#gallery`, options);
  await ready(page);
  if (name === "gallery") {
    for (const [person, samples] of [["Person of samples 1, 2 and 4", [1, 2, 4]], ["Person of sample 3", [3]]]) {
      await page.fill("#name", person);
      await page.fill("#reference", "none: a face of nobody");
      await page.fill("#purpose", "showing this page");
      for (const sample of samples) {
        const before = await page.locator("#thumbs > *").count();
        await page.locator("#slot-enrol").getByRole("button", { name: `Sample ${sample}` }).click();
        await page.waitForSelector(`#thumbs > :nth-child(${before + 1})`);
      }
      await page.click("#enrol-button");
      await page.waitForFunction((text) => document.getElementById("people").textContent.includes(text), person);
    }
  }
  await page.locator("#slot-probe").getByRole("button", { name: "Sample 2" }).click();
  await page.waitForSelector("#candidates .bar, #identity:not(:empty)");
  await page.getByRole("button", { name: "Template of" }).last().click();
  await page.waitForSelector(".template .bar");
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForTimeout(600);
  await shoot(page, name);
  if (wrong.length) console.error(name, wrong);
  await page.context().close();
}
await browser.close();
