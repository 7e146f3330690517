// Looks at evidence reports in a headless Chromium, over its debugging pipe: node check.mjs CHROMIUM FOLDER [AXE]
//
// Each page has to render by day and by night, in a wide and a narrow window, ask for nothing over any network, print, and
// be accessible: by axe-core, if it is there, and by what is looked at here. Filters are tried with scripts switched off.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, folder, axeFile] = process.argv.slice(2);
const problems = [];
const profile = mkdtempSync(join(tmpdir(), "patchlane-report-"));

const browser = spawn(
  chromium,
  ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
    `--user-data-dir=${profile}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
browser.on("error", (error) => { console.error(`${chromium} doesn't start: ${error.message}`); process.exit(2); });

let next = 0;
const waiting = new Map();
const listeners = new Set();
let buffer = Buffer.alloc(0);
browser.stdio[4].on("data", (data) => {
  buffer = Buffer.concat([buffer, data]);
  for (let end = buffer.indexOf(0); end >= 0; end = buffer.indexOf(0)) {
    const message = JSON.parse(buffer.subarray(0, end).toString());
    buffer = buffer.subarray(end + 1);
    if (message.id) {
      const { done, failed } = waiting.get(message.id);
      waiting.delete(message.id);
      message.error ? failed(new Error(message.error.message)) : done(message.result);
    } else {
      listeners.forEach((listener) => listener(message));
    }
  }
});

function send(method, params = {}, sessionId) {
  const id = ++next;
  browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`${method}: no answer for 120 s`)), 120_000);
    waiting.set(id, { done: (result) => (clearTimeout(late), done(result)), failed });
  });
}

/** What is wrong with a page's structure, looked at in the page. */
function structure() {
  const wrong = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  if (document.documentElement.lang !== "en") wrong.push("the page has no language");
  if (all("h1").length !== 1) wrong.push("there isn't one h1");
  let level = 1;
  for (const heading of all("h1, h2, h3, h4, h5")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) wrong.push(`a heading skips a level: ${heading.textContent}`);
    level = own;
  }
  for (const table of all("table")) {
    if (!table.caption?.textContent.trim()) wrong.push(`table ${table.id} has no caption`);
    if (!table.tBodies[0]?.rows.length) wrong.push(`table ${table.id} is empty`);
    for (const cell of table.querySelectorAll("th")) if (!cell.scope) wrong.push(`table ${table.id} has a head without scope`);
    for (const row of table.tBodies[0]?.rows ?? []) {
      if (row.cells.length !== table.tHead.rows[0].cells.length) wrong.push(`table ${table.id} has a row of other cells`);
      if (row.cells[0].tagName !== "TH") wrong.push(`table ${table.id} has a row without a head`);
    }
  }
  for (const input of all("input")) if (!input.labels.length) wrong.push("an input has no label");
  for (const svg of all("svg")) {
    const named = (svg.getAttribute("aria-labelledby") ?? "").split(" ").every((id) => document.getElementById(id));
    if (svg.getAttribute("role") !== "img" || !named) wrong.push("a picture has no name");
  }
  const ids = all("[id]").map((element) => element.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
  for (const link of all("a[href]")) {
    const to = link.getAttribute("href");
    if (!to.startsWith("#") || !document.getElementById(to.slice(1))) wrong.push(`a link leads nowhere on this page: ${to}`);
  }
  if (document.scripts.length) wrong.push("there is a script");
  // What a reader has to read against what it stands on, as it is drawn.
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const paper = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return numbers(getComputedStyle(document.body).backgroundColor);
  };
  const low = new Set();
  for (const element of all("main *, nav *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("svg") || element.closest(".sr")) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(paper(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.add(`${element.tagName.toLowerCase()}.${element.className}: ${ratio.toFixed(2)}`);
  }
  low.forEach((one) => wrong.push(`contrast below 4.5: ${one}`));
  return wrong;
}

/** Each choice of each filter shows as many rows as it says. */
function filters() {
  const wrong = [];
  let tried = 0;
  for (const label of document.querySelectorAll(".filter label")) {
    label.click();
    const said = Number(label.textContent.match(/\((\d+)\)\s*$/)[1]);
    const rows = [...label.closest(".filtered").querySelectorAll("tbody tr")];
    const shown = rows.filter((row) => getComputedStyle(row).display !== "none").length;
    if (shown !== said) wrong.push(`filter \u201c${label.textContent.trim()}\u201d shows ${shown} rows`);
    tried += 1;
  }
  document.querySelectorAll(".pick-all").forEach((input) => input.click());
  if (!tried) wrong.push("there is no filter to try");
  return wrong;
}

async function look(name, axe) {
  const url = pathToFileURL(resolve(folder, `${name}.html`)).href;
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const ask = (method, params) => send(method, params, sessionId);
  const asked = [];
  let loaded;
  const listener = (message) => {
    if (message.sessionId !== sessionId) return;
    if (message.method === "Network.requestWillBeSent") asked.push(message.params.request.url);
    if (message.method === "Page.loadEventFired") loaded?.();
    if (message.method === "Log.entryAdded") wrong(`the browser says: ${message.params.entry.text}`);
  };
  const wrong = (what) => problems.push(`${name}.html: ${what}`);
  listeners.add(listener);
  for (const domain of ["Network", "Page", "Runtime", "Log"]) await ask(`${domain}.enable`);
  const run = async (expression) => {
    const { result, exceptionDetails } = await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const size = (width, height) => ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  await size(1280, 1800);
  const load = new Promise((done) => (loaded = done));
  await ask("Page.navigate", { url });
  await load;
  for (const scheme of ["light", "dark"]) {
    await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    (await run(`(${structure})()`)).forEach((what) => wrong(`${scheme}: ${what}`));
    if (axe) {
      await run(axe);
      const found = await run("axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => `${v.id}: ${v.help}, ${v.nodes.length} times, first ${v.nodes[0].html.slice(0, 160)}`))");
      found.forEach((what) => wrong(`${scheme}: axe: ${what}`));
    }
    const tail = scheme === "dark" ? "-dark" : "";
    for (const [end, whole] of [["", false], ["-whole", true]]) {
      const { data } = await ask("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });
      writeFileSync(join(folder, `${name}${tail}${end}.png`), Buffer.from(data, "base64"));
    }
  }
  await ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "light" }] });
  (await run(`(${filters})()`)).forEach(wrong);
  for (const width of [1280, 820, 390]) {
    await size(width, 900);
    const over = await run("document.documentElement.scrollWidth - innerWidth");
    if (over > 0) wrong(`is ${over} pixels wider than a window of ${width}`);
  }
  await size(1280, 1800);
  const pdf = Buffer.from((await ask("Page.printToPDF", { printBackground: true, preferCSSPageSize: true })).data, "base64");
  writeFileSync(join(folder, `${name}.pdf`), pdf);
  const pages = pdf.toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 0;
  if (!pdf.subarray(0, 5).equals(Buffer.from("%PDF-")) || pages === 0) wrong("doesn't print");
  const away = asked.filter((one) => one !== url);
  if (asked.length === 0) wrong("nothing was asked for: the check saw nothing");
  away.forEach((one) => wrong(`asks for ${one}`));
  listeners.delete(listener);
  await send("Target.closeTarget", { targetId });
  console.log(`${name}.html: ${pages} pages of A4, ${asked.length} request (its own file)`);
}

try {
  const axe = axeFile ? readFileSync(axeFile, "utf8") : null;
  for (const name of ["report", "customer"]) await look(name, axe);
} catch (error) {
  problems.push(`the check itself: ${error.stack}`);
} finally {
  // It still writes while it ends; what it leaves in a temporary folder isn't what was looked at.
  const gone = new Promise((done) => browser.once("exit", done));
  browser.kill();
  await gone;
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch {}
}
problems.forEach((problem) => console.error(problem));
process.exit(problems.length ? 1 : 0);
