// Takes the pictures of the README: npm run pictures. They go to DICEBOX_PICTURES, by default build/pictures; what is
// committed is in pictures/.

import assert from 'node:assert/strict';
import { mkdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { act, chooseDie, launch, openPage, rollMany, rollOnce, waitForText } from './support.js';

const kFolder = resolve(process.env.DICEBOX_PICTURES ?? '../../build/pictures');
const kMaxBytes = 100000;

// Rolls until the machine had nothing else to do: the picture shall show the services, not the load of the day.
async function undisturbed(page, roll) {
  const status = () => page.locator('#trace-status').innerText();
  for (let i = 0; i < 40; ++i) {
    await roll();
    await waitForText(page, '#trace-status', /^\d+ spans of 3 services in /);
    if (/ in (\d|1\d)(\.\d)? ms/.test(await status())) break;
  }
  await page.mouse.move(0, 0);
}

async function take(target, name, options = {}) {
  const path = `${kFolder}/${name}.png`;
  await target.screenshot({ path, animations: 'disabled', ...options });
  const { size } = await stat(path);
  assert.ok(size < kMaxBytes, `${name}: ${size} bytes`);
}

describe('Pictures', () => {
  let browser;
  before(async () => {
    browser = await launch();
    await mkdir(kFolder, { recursive: true });
  });
  after(() => browser.close());

  test('a roll and what is inside it', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 1040, height: 980 }, colorScheme: 'light' });
    await chooseDie(page, 'fair');
    await undisturbed(page, () => rollOnce(page));
    await take(page, 'roll');
  });

  test('many rolls, some of which fail, in the dark', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 1040, height: 900 }, colorScheme: 'dark' });
    await chooseDie(page, 'risky');
    await undisturbed(page, async () => {
      do await rollMany(page, 10); while (await page.locator('#felt .failed').count() === 0);
      await waitForText(page, '#trace-status', /failed\.$/);
    });
    await take(page.locator('#trace'), 'failed');
  });

  test('one by one against all at once', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 1040, height: 900 }, colorScheme: 'light' });
    await chooseDie(page, 'fair');
    // Some load first, a part of which fails.
    for (const [die, bars] of [['fair', 9], ['extreme', 15], ['fair', 24]]) {
      await chooseDie(page, die);
      do await rollOnce(page); while (await page.locator('.sparkline .bar').count() < bars);
    }
    await page.fill('#times', '40');
    await act(page, () => page.click('#compare-run'));
    const y = await page.locator('#compare').evaluate((form) => form.closest('.card').getBoundingClientRect().top + scrollY);
    await take(page, 'compare', { fullPage: true, clip: { x: 0, y: y - 14, width: 1040, height: 345 } });
  });

  test('on a phone', async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 390, height: 844 }, colorScheme: 'light', deviceScaleFactor: 1 });
    await chooseDie(page, 'fair');
    await undisturbed(page, () => rollMany(page, 5));
    await take(page, 'phone', { fullPage: true, clip: { x: 0, y: 0, width: 390, height: 1240 } });
  });
});
