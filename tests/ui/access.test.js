import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { act, answerWithProblem, chooseDie, faultsOf, launch, openPage, rollMany, textOf, waitForText } from './support.js';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// What axe-core finds, all its rules, in words. The page's policy forbids the script, so it comes in by the debugger.
async function violations(page) {
  await page.evaluate(axe);
  const { violations: found, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  assert.ok(passes.length > 20, `only ${passes.length} rules applied`);
  return found.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
}

describe('Accessibility', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  for (const colorScheme of ['light', 'dark']) {
    for (const [device, viewport] of [['desktop', { width: 1280, height: 900 }], ['phone', { width: 390, height: 844 }]]) {
      test(`axe-core finds nothing in ${colorScheme} on a ${device}, whatever the page shows`, async (t) => {
        const { page, seen } = await openPage(t, browser, { colorScheme, viewport, reducedMotion: 'reduce' });
        assert.deepEqual(await violations(page), [], 'at first');
        await chooseDie(page, 'extreme');
        await rollMany(page, 40);
        await waitForText(page, '#trace-status', /^45 spans/);
        await page.click('#trace summary');
        await page.fill('#times', '3');
        await act(page, () => page.click('#compare-run'));
        assert.deepEqual(await violations(page), [], 'after rolling');
        await page.route('**/roll-async?*', () => {});
        await page.click('#roll-many');
        await page.locator('#stop').waitFor();
        assert.deepEqual(await violations(page), [], 'while rolling');
        await act(page, () => page.click('#stop'));
        for (const url of ['**/dice', '**/dice/*', '**/roll?*']) await answerWithProblem(page, url, { type: 'die-service-unreachable', trace: 'a'.repeat(32) });
        await act(page, () => page.click('#roll-once'));
        await page.selectOption('#die', 'risky');
        await page.locator('#catalog').waitFor();
        await page.fill('#times', '0');
        assert.deepEqual(await violations(page), [], 'in an outage');
        assert.match(await textOf(page, '#outcome-text'), /die-service/);
        assert.deepEqual(faultsOf(seen), []);
        await page.unrouteAll({ behavior: 'ignoreErrors' });
      });
    }
  }

  test('the first paint is there within a fifth of a second', async (t) => {
    const { page } = await openPage(t, browser);
    const times = [];
    for (let i = 0; i < 5; ++i) {
      await page.reload();
      await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length);
      times.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
    }
    // The best of five: the machine may be busy with something else.
    assert.ok(Math.min(...times) < 200, `${times.map(Math.round)} ms`);
  });
});
