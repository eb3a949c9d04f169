import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startDice } from './services.js';
import { chooseDie, diceShown, faultsOf, launch, openPage, rollOnce, textOf, traceRows, waitForText } from './support.js';

describe('When a service is really down', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  test('the page says which, shows the trace that failed there, and recovers by itself', async (t) => {
    const { dieService, frontend } = await startDice(t);
    const { page, seen } = await openPage(t, browser, { path: frontend.url });
    await chooseDie(page, 'fair');
    await rollOnce(page);
    await dieService.stop();
    await rollOnce(page);
    assert.equal(await textOf(page, '#outcome-text'), 'die-service cannot be reached. The roll was not made.');
    await waitForText(page, '#trace-status', /^4 spans of 2 services in .* 4 failed\. die-service could not be asked: what it did may be missing\.$/);
    assert.equal((await traceRows(page)).at(-1).name, '✕ GET', 'the call that nobody answered');
    assert.equal(await textOf(page, '#span-failure'), 'Failed. die-service cannot be reached.');
    assert.match(await textOf(page, '#span-facts'), /^client span of dice-roller/);
    await waitForText(page, '#live [data-service=die-service]', /does not answer/);
    assert.deepEqual(await page.locator('#chain .broken').allTextContents(), ['die-service (does not answer)']);

    await dieService.start();
    await waitForText(page, '#outcome-advice', /^The services answer again: you can roll\.$/);
    await page.locator('#live [data-service=die-service] [data-live=rate]').waitFor();
    await rollOnce(page);
    assert.match(await textOf(page, '#outcome-text'), /^The fair die rolled [1-6]$/);
    await waitForText(page, '#trace-status', /^6 spans of 3 services/);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('a service that stops is told before anyone rolls, and stays told until it answers', async (t) => {
    const { dieService, frontend } = await startDice(t);
    const { page } = await openPage(t, browser, { path: frontend.url });
    await chooseDie(page, 'fair');
    const states = () => page.locator('#chain li').evaluateAll((all) => all.map((item) => item.className));
    await page.locator('#chain li.ok').nth(2).waitFor();
    await dieService.stop();
    await page.locator('#chain .broken[data-service=die-service]').waitFor();
    await page.selectOption('#die', 'risky');
    await page.locator('#catalog').waitFor();
    await page.selectOption('#die', 'fair');
    await page.locator('#catalog').waitFor({ state: 'hidden' });
    assert.deepEqual(await states(), ['ok', 'ok', 'broken'], 'what is known of a die says nothing of the service');
    await dieService.start();
    await page.locator('#chain .ok[data-service=die-service]').waitFor();
  });

  test('the end of an outage of dice-roller is told too', async (t) => {
    const { diceRoller, frontend } = await startDice(t);
    const { page, seen } = await openPage(t, browser, { path: frontend.url });
    await diceRoller.stop();
    await rollOnce(page);
    assert.equal(await textOf(page, '#outcome-text'), 'dice-roller cannot be reached. The roll was not made.');
    assert.deepEqual(await page.locator('#chain .broken').allTextContents(), ['dice-roller (does not answer)']);
    await diceRoller.start();
    await waitForText(page, '#outcome-advice', /^The services answer again: you can roll\.$/);
    assert.equal(await page.locator('#chain .ok').count(), 3);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('frontend itself can stop and come back', async (t) => {
    const { frontend } = await startDice(t);
    const { page, seen } = await openPage(t, browser, { path: frontend.url });
    await rollOnce(page);
    await frontend.stop();
    await waitForText(page, '#live-note', /^frontend does not answer: these figures are old\.$/);
    await page.click('#roll-once');
    await waitForText(page, '#outcome-text', /^No answer: you are offline, or frontend has stopped\./);
    await frontend.start();
    await waitForText(page, '#outcome-advice', /^The services answer again/);
    await waitForText(page, '#live-note', /^$/);
    await rollOnce(page);
    assert.equal((await diceShown(page)).length, 1);
    assert.deepEqual(faultsOf(seen), []);
  });
});
