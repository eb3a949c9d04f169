// What the tests share: a browser, a page that is watched, and words for what a user does on it.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const baseUrl = process.env.DICEBOX_URL;
if (!baseUrl) throw new Error('Set DICEBOX_URL to the address of a running frontend, for example http://127.0.0.1:8111');

const kTimeoutMs = 15000;
const kTrace = /^[0-9a-f]{32}$/;

export function launch() {
  return chromium.launch({
    // Chromium without windows: as the whole browser, which DICEBOX_CHROMIUM can name, in half the time.
    executablePath: process.env.DICEBOX_CHROMIUM ?? '/usr/bin/chromium-headless-shell',
    // Chromium's own sandbox refuses to run as root, which containers often are.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}

// A page that notes everything nobody should see: messages on the console, errors, foreign requests, violations
// of the content security policy. It is closed when the test `t` is over.
export async function openPage(t, browser, { path = '/', loaded = true, prepare = async () => {}, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(kTimeoutMs);
  const seen = { console: [], errors: [], requests: [], responses: [], violations: [] };
  page.on('console', (message) => seen.console.push(message.text()));
  page.on('pageerror', (error) => seen.errors.push(error.stack));
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('response', (response) => seen.responses.push(response));
  await page.exposeFunction('reportViolation', (violation) => seen.violations.push(violation));
  await page.addInitScript(() => addEventListener('securitypolicyviolation', (event) =>
    window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)));
  await prepare(page);
  await page.goto(new URL(path, baseUrl).href);
  if (loaded) await page.locator('#die:not([disabled])').waitFor();
  return { page, seen, context };
}

// The faults of the page itself. The browser's own note of a failed request is not one.
export function faultsOf(seen) {
  const messages = seen.console.filter((text) => !text.startsWith('Failed to load resource'));
  return [...messages, ...seen.errors, ...seen.violations];
}

export const textOf = (page, selector) => page.locator(selector).innerText();

export async function waitForText(page, selector, expected) {
  try {
    await page.waitForFunction(
      ([where, source]) => new RegExp(source).test(document.querySelector(where)?.textContent), [selector, expected.source]);
  } catch {
    assert.fail(`${selector} should say ${expected}, and says "${await page.locator(selector).textContent()}"`);
  }
}

// Does something that ends with a new line in the log, and waits for it.
export async function act(page, deed) {
  const newest = await page.evaluateHandle(() => document.querySelector('#log tr'));
  await deed();
  await page.waitForFunction((old) =>
    document.querySelector('#log tr') !== old && !document.querySelector('#tray[aria-busy]'), newest);
}

export async function chooseDie(page, die) {
  await page.selectOption('#die', die);
  await waitForText(page, '#die-facts', /^Faces /);
}

export const rollOnce = (page) => act(page, () => page.click('#roll-once'));

export async function rollMany(page, times) {
  await page.fill('#times', String(times));
  await act(page, () => page.click('#roll-many'));
}

// The dice on the felt: numbers, and null for a roll that failed.
export function diceShown(page) {
  return page.locator('#felt [data-result]').evaluateAll((dice) => dice.map((die) => JSON.parse(die.dataset.result)));
}

export async function traceShown(page) {
  const id = await textOf(page, '#outcome-trace .trace-id');
  assert.match(id, kTrace);
  return id;
}

// The rows of the waterfall: what is written, said and drawn.
export function traceRows(page) {
  return page.locator('#waterfall .row').evaluateAll((rows) => rows.map((row) => {
    const bar = row.querySelector('.bar')?.getBoundingClientRect();
    return {
      name: row.querySelector('.name').textContent, took: row.querySelector('.took')?.textContent.trim(),
      level: Number(row.getAttribute('aria-level')), words: row.getAttribute('aria-label'), left: bar?.left, right: bar?.right,
    };
  }));
}

// The column "observed" as a user reads it.
export function statisticsShown(page) {
  return page.locator('#statistics tr').evaluateAll((rows) =>
    Object.fromEntries(rows.map((row) => [row.dataset.figure, row.cells[1].textContent])));
}

export function barsShown(page) {
  return page.locator('#histogram .bar').evaluateAll((bars) =>
    Object.fromEntries(bars.map((bar) => [bar.dataset.face, Number(bar.dataset.count)])));
}

export const rollFailures = (results) => results.filter((result) => result === null).length;

export function countsOf(results) {
  const counts = {};
  for (const result of results) if (result !== null) counts[result] = (counts[result] ?? 0) + 1;
  return counts;
}

export const askService = async (path) => (await fetch(new URL(path, baseUrl))).json();

// What the page reads every two seconds says that all services answer but `silent`.
export function answerWithMetrics(page, silent) {
  const json = Object.fromEntries(['frontend', 'dice-roller', 'die-service'].map((name) => [name, name === silent ? null : '']));
  return page.route('**/page/metrics', (route) => route.fulfill({ json }));
}

// Answers a route the way a service in trouble does.
export function answerWithProblem(page, url, { type, status = 503, title = 'Trouble', detail = 'Something is wrong.', trace }) {
  return page.route(url, (route) => route.fulfill({
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ type: `urn:problem-type:${type}`, title, status, detail, trace_id: trace }),
  }));
}
