import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  act, askService, barsShown, chooseDie, countsOf, diceShown, faultsOf, launch, openPage, rollFailures, rollMany, rollOnce,
  statisticsShown, textOf, traceShown, waitForText,
} from './support.js';

describe('Rolling', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  test('the list of dice is the one of the service', async (t) => {
    const { page } = await openPage(t, browser);
    const offered = await page.locator('#die option').allInnerTexts();
    assert.deepEqual(offered, (await askService('/dice')).dice);
    assert.ok(offered.length >= 3, `only ${offered}`);
  });

  test('a die is described: its faces and how often it fails', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'risky');
    await waitForText(page, '#die-facts', /^Faces 2, 3, 4, 5, 6, 7\. Fails 10 % of the time/);
    await page.selectOption('#die', 'fair');
    await waitForText(page, '#die-facts', /^Faces 1, 2, 3, 4, 5, 6\. Never fails/);
  });

  test('one roll shows a face of the die, in picture and in words, and the trace id the service gave it', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    const answered = page.waitForResponse('**/roll?die=fair');
    await rollOnce(page);
    const response = await answered;
    const { result, trace_id: trace } = await response.json();
    assert.ok([1, 2, 3, 4, 5, 6].includes(result), `no face of the die: ${result}`);
    assert.deepEqual(await diceShown(page), [result]);
    assert.equal(await page.locator('#felt circle').count(), result, 'as many pips as the result');
    assert.equal(await textOf(page, '#outcome-text'), `The fair die rolled ${result}`);
    assert.equal(await traceShown(page), trace);
    assert.equal(response.headers().traceresponse.split('-')[1], trace);
  });

  test('many rolls show every result and statistics that match them', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'risky');
    const answered = page.waitForResponse('**/roll-async?*');
    await rollMany(page, 200);
    const answer = await (await answered).json();
    const shown = await diceShown(page);
    assert.equal(shown.length, 200);
    assert.deepEqual(shown, answer.results);
    const { count, min, max, mean, stddev } = answer.statistics;
    assert.deepEqual(await statisticsShown(page), {
      count: String(count), failures: String(rollFailures(shown)), min: String(min), max: String(max),
      mean: mean.toFixed(2), stddev: stddev.toFixed(2),
    });
    assert.match(await textOf(page, '#outcome-text'), new RegExp(`^200 rolls of risky: ${count} results?, mean ${mean.toFixed(2)}`));
    assert.equal(await traceShown(page), answer.trace_id);
  });

  test('statistics run on from action to action, are kept per die and can be cleared', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    const results = [];
    for (const times of [7, 1, 12]) {
      await rollMany(page, times);
      results.push(...await diceShown(page));
    }
    await rollOnce(page);
    results.push(...await diceShown(page));
    const mean = results.reduce((sum, result) => sum + result, 0) / results.length;
    assert.equal((await statisticsShown(page)).count, '21');
    assert.equal((await statisticsShown(page)).mean, mean.toFixed(2));

    await chooseDie(page, 'risky');
    assert.equal((await statisticsShown(page)).count, '0');
    await chooseDie(page, 'fair');
    assert.equal((await statisticsShown(page)).count, '21');
    await page.click('#clear');
    assert.deepEqual(await statisticsShown(page), { count: '0', failures: '0', min: '–', max: '–', mean: '–', stddev: '–' });
    assert.deepEqual(await barsShown(page), { 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0 });
  });

  test('the histogram has a bar per face, as high as its share, and a mark at the expected share', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'risky');
    await rollMany(page, 300);
    const counts = countsOf(await diceShown(page));
    const { probabilities } = await askService('/dice/risky');
    const bars = await barsShown(page);
    assert.deepEqual(Object.keys(bars), Object.keys(probabilities));
    for (const [face, count] of Object.entries(bars)) assert.equal(count, counts[face] ?? 0, `face ${face}`);

    const drawn = await page.evaluate(() => ({
      heights: [...document.querySelectorAll('#histogram .bar')].map((bar) => Number(bar.getAttribute('height'))),
      bottom: Number(document.querySelector('#histogram .bar').getAttribute('y')) +
        Number(document.querySelector('#histogram .bar').getAttribute('height')),
      marks: [...document.querySelectorAll('#histogram .expectation')].map((mark) => Number(mark.getAttribute('y1'))),
    }));
    const shares = Object.values(bars).map((count) => count / Object.values(bars).reduce((sum, n) => sum + n));
    const scale = Math.max(...drawn.heights) / Math.max(...shares);
    drawn.heights.forEach((height, i) => assert.ok(Math.abs(height - shares[i] * scale) < 0.01, `bar ${i}`));
    Object.values(probabilities).forEach((p, i) =>
      assert.ok(Math.abs(drawn.bottom - drawn.marks[i] - p * scale) < 0.5, `mark ${i}`));
  });

  test('faces that repeat are one bar with their joint expectation', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    const expected = await page.locator('#histogram .expectation').evaluateAll((marks) =>
      marks.map((mark) => Number(mark.dataset.expected).toFixed(3)));
    assert.deepEqual(expected, ['0.333', '0.667']);
    assert.deepEqual(Object.keys(await barsShown(page)), ['0', '6']);
  });

  test('rolls that the die fails are shown, counted and told to be on purpose', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    await rollMany(page, 100);
    const failed = rollFailures(await diceShown(page));
    assert.ok(failed > 0, 'a hundred rolls at an error rate of one half, and none failed');
    assert.equal(await page.locator('#felt .failed[aria-label=failed]').count(), failed);
    assert.equal((await statisticsShown(page)).failures, String(failed));
    assert.match(await textOf(page, '#outcome-text'), new RegExp(`, ${failed} failed$`));
    assert.match(await textOf(page, '#outcome-advice'), /made to fail 50 % of the time: nothing is broken/);
  });

  test('a single roll that fails says so, says to roll again, and is counted', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    let rolls = 0;
    do {
      await rollOnce(page);
      rolls += 1;
    } while (!(await diceShown(page)).includes(null) && rolls < 60);
    assert.equal(await textOf(page, '#outcome-text'), 'The roll failed.');
    assert.match(await textOf(page, '#outcome-advice'), /nothing is broken\. Roll again\.$/);
    await traceShown(page);
    const shown = await statisticsShown(page);
    assert.equal(shown.failures, '1');
    assert.equal(shown.count, String(rolls - 1));
    assert.match(await page.locator('#log tr').first().innerText(), /The roll failed/);
  });

  test('the log tells time, action, die, outcome, duration and trace id, newest first', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 5);
    await rollOnce(page);
    const [result] = await diceShown(page);
    const rows = await page.locator('#log tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
    assert.equal(rows.length, 3);
    const [time, action, die, outcome, took, trace] = rows[0];
    assert.match(time, /^\d\d:\d\d:\d\d$/);
    assert.deepEqual([action, die, outcome], ['Roll once', 'fair', String(result)]);
    assert.match(took, /^[\d.]+ m?s$/);
    assert.ok(trace.startsWith(await traceShown(page)), trace);
    assert.deepEqual(rows.map((row) => row[1]), ['Roll once', 'Roll 5', 'Load dice']);
    assert.equal(new Set(rows.map((row) => row[5])).size, 3, 'each action has a trace of its own');
  });

  test('a trace id is copied to the clipboard', async (t) => {
    const { page } = await openPage(t, browser, { permissions: ['clipboard-read', 'clipboard-write'] });
    await rollOnce(page);
    await page.click('#outcome-trace button');
    await waitForText(page, '#outcome-trace button', /^Copied$/);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await traceShown(page));
  });

  test('where the clipboard is closed the trace id is selected instead', async (t) => {
    const { page } = await openPage(t, browser, {
      prepare: (fresh) => fresh.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined })),
    });
    await rollOnce(page);
    await page.click('#outcome-trace button');
    await waitForText(page, '#outcome-trace button', /^(Copied|Select it)$/);
    assert.equal(await page.evaluate(() => getSelection().toString().trim()), await traceShown(page));
  });

  test('a bad number of rolls is told and never asked of the service', async (t) => {
    const { page, seen } = await openPage(t, browser);
    for (const typed of ['0', '1001', '', 'abc', '1.5', '-3']) {
      await page.fill('#times', '');
      await page.locator('#times').pressSequentially(typed);
      await page.click('#roll-many');
      assert.equal(await textOf(page, '#times-hint'), 'Enter a whole number from 1 to 1000.', `after "${typed}"`);
      assert.equal(await page.getAttribute('#times', 'aria-invalid'), 'true', `after "${typed}"`);
      assert.equal(await page.evaluate(() => document.activeElement.id), 'times', 'the field to mend has the focus');
    }
    await rollMany(page, 3);
    assert.equal((await diceShown(page)).length, 3);
    assert.equal(await page.getAttribute('#times', 'aria-invalid'), 'false');
    const asked = seen.requests.filter((url) => url.includes('roll-async')).map((url) => new URL(url).searchParams.get('times'));
    assert.deepEqual(asked, ['3']);
  });

  test('the bounds themselves, 1 and 1000, are good numbers', async (t) => {
    const { page } = await openPage(t, browser);
    for (const times of [1, 1000]) {
      await rollMany(page, times);
      assert.equal((await diceShown(page)).length, times);
    }
    const felt = await page.locator('#felt').evaluate((node) => ({ seen: node.clientHeight, whole: node.scrollHeight }));
    assert.ok(felt.whole > felt.seen && felt.seen < 500, `the tray should scroll inside itself: ${JSON.stringify(felt)}`);
  });

  test('a second press while a roll is under way is one roll', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    await page.route('**/roll?*', async (route) => {
      await held;
      await route.continue();
    });
    await act(page, async () => {
      await page.click('#roll-once');
      await waitForText(page, '#outcome-text', /^Rolling…$/);
      await page.click('#roll-once');
      await page.press('#times', 'Enter');
      release();
    });
    assert.equal(seen.requests.filter((url) => url.includes('/roll')).length, 1);
    assert.equal((await statisticsShown(page)).count, '1');
  });

  test('nothing is written to the console, asked of another origin or against the content security policy', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollOnce(page);
    await rollMany(page, 50);
    await page.click('#clear');
    assert.deepEqual(seen.console, []);
    assert.deepEqual(faultsOf(seen), []);
    const home = new URL(page.url()).origin;
    assert.deepEqual(seen.requests.filter((url) => new URL(url).origin !== home), []);
  });

  test('the page is small and its policy allows nothing but its own files', async (t) => {
    const { seen } = await openPage(t, browser);
    const files = seen.responses.filter((response) => /\/$|\.(css|js|svg)$/.test(new URL(response.url()).pathname));
    const sizes = await Promise.all(files.map(async (file) => (await file.body()).length));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(files.length >= 4 && total <= 60000, `${total} bytes in ${files.length} files`);
    const policy = files[0].headers()['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:|data:/);
  });

  test('the page says where to look, and the metrics are there', async (t) => {
    const { page } = await openPage(t, browser);
    await page.click('footer a');
    await page.waitForURL('**/metrics');
    assert.match(await page.locator('body').innerText(), /^# (HELP|TYPE) /m);
  });
});
