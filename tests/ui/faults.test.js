import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  act, answerWithMetrics, answerWithProblem, chooseDie, diceShown, faultsOf, launch, openPage, rollMany, rollOnce, statisticsShown, textOf,
  traceShown, waitForText,
} from './support.js';

const kTrace = '4bf92f3577b34da6a3ce929d0e0e4736';

describe('When something is wrong', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  const kWords = [
    ['die-service-unreachable', /^die-service cannot be reached\. The roll was not made\.$/, /^Try again in a moment\./, 'die-service'],
    ['die-service-timeout', /^die-service did not answer in time\./, /^It may be busy\. Try again in a moment\./, 'die-service'],
    ['die-service-invalid', /^die-service answered, but not with a die\. The roll/, /^Try again in a moment\. The spans below say why\.$/],
    ['dice-roller-unreachable', /^dice-roller cannot be reached\. The roll was not made\.$/, /^Try again in a moment\./, 'dice-roller'],
    ['dice-roller-timeout', /^dice-roller did not answer in time\./, /^It may be busy\./, 'dice-roller'],
    ['dice-roller-invalid', /^dice-roller gave an answer that makes no sense\./, /^Trying again will hardly help\.[^.]*\.$/],
  ];
  for (const [type, what, advice, service] of kWords) {
    test(`${type} is told in words, points at ${service ?? 'no service'} and keeps its trace id`, async (t) => {
      const { page, seen } = await openPage(t, browser);
      await chooseDie(page, 'fair');
      // The list stays out of reach as well, so that the words are not followed by those of the recovery.
      for (const url of ['**/dice', '**/roll?*', '**/roll-async?*']) await answerWithProblem(page, url, { type, trace: kTrace });
      await answerWithMetrics(page, service);
      for (const [name, roll] of [['Roll once', () => page.click('#roll-once')], ['Roll 10', () => page.click('#roll-many')]]) {
        await roll();
        await waitForText(page, '#log tr .action', new RegExp(`^${name}$`));
        assert.match(await textOf(page, '#outcome-text'), what);
        assert.match(await textOf(page, '#outcome-advice'), advice);
        assert.equal(await traceShown(page), kTrace);
        assert.deepEqual(await page.locator('#chain .broken').evaluateAll((all) => all.map((item) => item.dataset.service)), service ? [service] : []);
      }
      assert.equal((await statisticsShown(page)).failures, '0', 'no die was rolled, so none failed');
      assert.deepEqual(faultsOf(seen), []);
    });
  }

  test('a die that has gone is told, and the list is loaded again', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'risky');
    await answerWithProblem(page, '**/roll?*', { type: 'die-not-found', trace: kTrace });
    await page.route('**/dice', (route) => route.fulfill({ json: { dice: ['extreme', 'fair'] } }));
    await page.click('#roll-once');
    await waitForText(page, '#outcome-text', /^This die does not exist any more\./);
    await page.waitForFunction(() => document.querySelector('#die').options.length === 2);
    assert.equal(await page.inputValue('#die'), 'fair');
  });

  test('too many users at once is told with the time to wait', async (t) => {
    const { page } = await openPage(t, browser);
    await page.route('**/roll?*', (route) => route.fulfill({
      status: 503, headers: { 'Retry-After': '7', traceresponse: `00-${kTrace}-00f067aa0ba902b7-01` }, contentType: 'application/problem+json',
      body: JSON.stringify({ type: 'urn:problem-type:overloaded', title: 'Service Unavailable', status: 503, detail: 'All workers are busy.' }),
    }));
    await rollOnce(page);
    assert.equal(await textOf(page, '#outcome-text'), 'All workers are busy. The roll was not made.');
    assert.equal(await textOf(page, '#outcome-advice'), 'Try again in 7 s.');
    assert.equal(await traceShown(page), kTrace, 'taken from the header where the body has none');
  });

  const kGarbage = [
    ['a proxy’s error page', { status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }],
    ['a good status without JSON', { status: 200, contentType: 'text/plain', body: 'hello' }],
    ['JSON that is no roll', { status: 200, json: { die: 'fair', result: 'six' } }],
  ];
  for (const [name, answer] of kGarbage) {
    test(`${name} is told as an answer that makes no sense`, async (t) => {
      const { page, seen } = await openPage(t, browser);
      await page.route('**/roll?*', (route) => route.fulfill(answer));
      await page.click('#roll-once');
      await waitForText(page, '#outcome-text', /^frontend gave an answer that makes no sense\. The roll was not made\.$/);
      assert.deepEqual(faultsOf(seen), []);
    });
  }

  test('hostile words of a service are shown as words', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await answerWithProblem(page, '**/roll?*', { type: 'odd', status: 400, detail: '<img src=x onerror=alert(1)>', trace: kTrace });
    await rollOnce(page);
    assert.match(await textOf(page, '#outcome-text'), /^<img src=x onerror=alert\(1\)>/);
    assert.equal(await page.locator('#outcome img, #log img').count(), 0);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('dice that cannot be loaded are told, with the trace id, and come by themselves after the outage', async (t) => {
    const { page, seen } = await openPage(t, browser, {
      loaded: false,
      prepare: (fresh) => answerWithProblem(fresh, '**/dice', { type: 'die-service-unreachable', trace: kTrace }),
    });
    await waitForText(page, '#catalog-text', /^The list of dice could not be loaded\. die-service cannot be reached\. Trying again in 1 second\.$/);
    await waitForText(page, '#catalog-text', /Trying again in 2 seconds\.$/);
    assert.equal(await textOf(page, '#catalog-trace .trace-id'), kTrace);
    assert.ok(await page.isDisabled('#roll-once') && await page.isDisabled('#roll-many'), 'there is nothing to roll');
    assert.equal(await page.locator('#log tr').count(), 1, 'one line for the outage, not one for each try');

    await page.unroute('**/dice');
    await page.locator('#die:not([disabled])').waitFor();
    assert.ok(!(await page.isVisible('#catalog')));
    await chooseDie(page, 'fair');
    await rollOnce(page);
    assert.equal((await diceShown(page)).length, 1);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('the wait for the dice is cut short by “Try now”', async (t) => {
    const { page } = await openPage(t, browser, {
      loaded: false,
      prepare: async (fresh) => {
        await fresh.clock.install();
        await answerWithProblem(fresh, '**/dice', { type: 'die-service-timeout', trace: kTrace });
      },
    });
    await page.clock.pauseAt(Date.now() + 60000);
    await page.locator('#catalog-retry').waitFor();
    await page.unroute('**/dice');
    await page.click('#catalog-retry');  // the clock stands still: only the press can have caused this
    await page.locator('#die:not([disabled])').waitFor();
  });

  test('a die that cannot be described is told and can be rolled all the same', async (t) => {
    const { page } = await openPage(t, browser);
    await answerWithProblem(page, '**/dice/risky', { type: 'die-service-timeout', trace: kTrace });
    await page.selectOption('#die', 'risky');
    await waitForText(page, '#catalog-text', /^The die risky could not be loaded\. die-service did not answer in time\./);
    await rollMany(page, 40);
    assert.equal((await diceShown(page)).length, 40);
    await page.unroute('**/dice/risky');
    await waitForText(page, '#die-facts', /^Faces 2, 3/);
    assert.equal(await page.locator('#histogram .expectation').count(), 6);
  });

  test('what became of a die that is not selected any more is not told', async (t) => {
    const { page } = await openPage(t, browser);
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    await page.route('**/dice/risky', async (route) => {
      await held;
      await route.fulfill({ status: 503, json: { type: 'urn:problem-type:die-not-found', status: 503, title: 'x', detail: 'y' } });
    });
    await page.selectOption('#die', 'risky');
    await page.selectOption('#die', 'extreme');
    release();
    await waitForText(page, '#die-facts', /^Faces 0, 0/);
    assert.ok(!(await page.isVisible('#catalog')));
    assert.equal(await page.locator('#log .failed').count(), 0);
  });

  test('offline is told, and the way back is told', async (t) => {
    const { page, seen, context } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await context.setOffline(true);
    await page.click('#roll-once');
    await waitForText(page, '#outcome-text', /^No answer: you are offline, or frontend has stopped\. The roll was not made\.$/);
    assert.match(await textOf(page, '#outcome-advice'), /This page tells you when it answers again\.$/);
    assert.match(await textOf(page, '#outcome-trace'), /^No trace id: no answer came\.$/);
    await context.setOffline(false);
    await waitForText(page, '#outcome-advice', /^The services answer again: you can roll\.$/);
    await rollOnce(page);
    assert.match(await textOf(page, '#outcome-text'), /^The fair die rolled [1-6]$/);
    assert.equal(await page.locator('#chain .ok').count(), 3);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('an outage in the middle of rolling loses no statistics', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 20);
    const before = await statisticsShown(page);
    for (const url of ['**/dice', '**/roll*?*']) await answerWithProblem(page, url, { type: 'die-service-unreachable', trace: kTrace });
    await act(page, () => page.click('#roll-once'));
    assert.deepEqual(await statisticsShown(page), before);
    assert.equal(await page.locator('#histogram .expectation').count(), 6, 'what is known of the die stays');
    await page.unrouteAll();
    await waitForText(page, '#outcome-advice', /^The services answer again/);
    await rollMany(page, 5);
    assert.equal((await statisticsShown(page)).count, '25');
  });
});
