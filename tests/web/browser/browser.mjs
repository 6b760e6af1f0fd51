// Chromium on the page, and everything that must not happen there.

import { chromium } from "playwright-core";

export async function launch(executable) {
  return chromium.launch({ executablePath: executable, args: ["--no-sandbox"] });
}

// A page that notes outside requests, errors, and what the content security policy stopped.
export async function openPage(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  const wrong = [];
  const origin = new URL(address).origin;
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) wrong.push(`outside request: ${request.url()}`);
  });
  page.on("console", (message) => {
    // A refused request is noted by the browser too; the tests of refusals ask for those.
    const refused = message.text().startsWith("Failed to load resource");
    if (["error", "warning"].includes(message.type()) && !refused) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(address);
  return { page, wrong };
}

export const ready = (page) => page.waitForSelector("body[data-ready]");

export async function compareSamples(page, first, second) {
  await page.getByRole("button", { name: `Sample ${first}` }).first().click();
  await page.waitForSelector("#slot-a .slot.full");
  await page.getByRole("button", { name: `Sample ${second}` }).first().click();
  await page.waitForSelector("#result:not([hidden])");
}
