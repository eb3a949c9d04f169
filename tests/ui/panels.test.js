import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import {
  act, answerWithMetrics, askService, barsShown, chooseDie, diceShown, faultsOf, launch, openPage, rollMany, rollOnce, statisticsShown, textOf, traceShown, waitForText,
} from './support.js';

const roll = (result) => ({ json: { die: 'fair', result, trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' } });

describe('Comparing, statistics and load', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  test('rolling one by one is held against rolling at once: two bars of time, and in words', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await page.fill('#times', '20');
    await act(page, () => page.click('#compare-run'));
    const asked = seen.requests.map((url) => new URL(url).pathname).filter((path) => path.startsWith('/roll'));
    assert.deepEqual(asked, [...Array(20).fill('/roll'), '/roll-async']);
    const bars = await page.locator('.compared').evaluateAll((all) =>
      all.map((bar) => [bar.innerText.replace(/\s+/g, ' '), Number(bar.querySelector('.bar').getAttribute('width'))]));
    assert.match(bars[0][0], /^Roll once, 20 times [\d.]+ m?s$/);
    assert.match(bars[1][0], /^Roll many, 20 [\d.]+ m?s$/);
    assert.equal(bars[0][1], 1);
    assert.ok(bars[1][1] > 0 && bars[1][1] < 0.6, `twenty rolls of 5 ms each at once took ${bars[1][1]} of the time`);
    assert.match(await textOf(page, '#comparison-words'), /^All at once was [\d.]+ times as fast/);
    assert.equal((await statisticsShown(page)).count, '40', 'all of them are rolls');
    assert.match(await page.locator('#log tr .action').first().innerText(), /^Compare 20$/);
    await waitForText(page, '#trace-status', /^25 spans/);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('failed rolls are part of a comparison', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    await page.fill('#times', '15');
    await act(page, () => page.click('#compare-run'));
    const { count, failures } = await statisticsShown(page);
    assert.equal(Number(count) + Number(failures), 30);
    assert.ok(Number(failures) > 0);
  });

  test('progress is shown while comparing, and what is under way can be stopped', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    let asked = 0;
    await page.route('**/roll?*', (route) => { if (++asked <= 4) route.fulfill(roll(2)); });  // the fifth never gets an answer
    await page.dblclick('#compare-run');  // which is one press
    await page.waitForFunction(() => document.querySelector('#progress').value === 4);
    assert.equal(await textOf(page, '#compare-run'), 'Stop', 'where it can be seen');
    assert.equal(await page.getAttribute('#progress', 'max'), '10');
    assert.match(await textOf(page, '#comparison'), /4 of 10/);
    await page.waitForTimeout(300);  // without an answer
    await act(page, () => page.click('#compare-run'));
    assert.equal(await textOf(page, '#compare-run'), 'Compare');
    assert.equal(await textOf(page, '#outcome-text'), 'Stopped after 4 of 10.');
    assert.ok(!(await page.locator('#outcome').getAttribute('class')).includes('bad'), 'what was wanted is no error');
    assert.equal(await page.locator('#log .failed').count(), 0);
    assert.equal(await traceShown(page), '4bf92f3577b34da6a3ce929d0e0e4736', 'that of the last answer');
    const took = await textOf(page, '#log tr:first-child .took');
    assert.ok(took.endsWith(' s') || parseFloat(took) >= 300, `all of it took more than ${took}`);
    assert.match(await textOf(page, '#comparison'), /4 of 10[^…]*–/);
    assert.equal(await textOf(page, '#comparison-words'), 'Stopped after 4 of 10.');
    assert.equal(asked, 5);
    assert.ok(!(await page.isVisible('#stop')));
    assert.equal((await statisticsShown(page)).count, '4', 'what was rolled counts');
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await rollMany(page, 3);
    assert.equal((await diceShown(page)).length, 3, 'the page goes on');
    assert.deepEqual(faultsOf(seen), []);
  });

  test('an outage in the middle of a comparison says how far it came', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    let asked = 0;
    await answerWithMetrics(page, 'die-service');
    await page.route('**/roll?*', (route) => (++asked <= 3 ? route.fulfill(roll(2)) :
      route.fulfill({ status: 503, json: { type: 'urn:problem-type:die-service-unreachable', trace_id: 'a'.repeat(32) } })));
    await act(page, () => page.click('#compare-run'));
    assert.equal(await textOf(page, '#outcome-text'), 'die-service cannot be reached. Stopped after 3 of 10.');
    assert.equal(await traceShown(page), 'a'.repeat(32));
    assert.equal(await textOf(page, '#comparison-words'), 'Stopped after 3 of 10.');
  });

  test('a single request can be stopped too, by keyboard', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await page.route('**/roll-async?*', () => {});
    await page.press('#times', 'Enter');
    await page.locator('#stop').waitFor();
    await page.focus('#stop');
    await act(page, () => page.keyboard.press('Enter'));
    assert.equal(await textOf(page, '#outcome-text'), 'Stopped.');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'times', 'the focus goes where it was');
    await page.unrouteAll({ behavior: 'ignoreErrors' });
  });

  test('whether a die is fair is told in words', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    let results = [1, 2, 3, 4, 5, 6];
    let answers = 0;
    await page.route('**/roll-async?*', (route) => route.fulfill({ json: { results, trace_id: String(++answers).padStart(32, '0') } }));
    await rollMany(page, 6);
    assert.equal(await textOf(page, '#verdict'), 'Too few results to judge the die: 24 more results will do.');
    for (let i = 0; i < 4; ++i) await rollMany(page, 6);
    assert.equal(await textOf(page, '#verdict'), 'As expected. Chance alone gives a difference this large in 100 % of such series (χ² 0.0, 5 degrees of freedom).');
    results = Array(6).fill(6);
    await rollMany(page, 6);
    assert.match(await textOf(page, '#verdict'), /^As expected\. .* in 41\.6 % .* \(χ² 5\.0, 5 degrees of freedom\)\.$/);
    await rollMany(page, 6);
    assert.match(await textOf(page, '#verdict'), /^Unusual\. .* in 0\.4 % .* Roll more to see whether it stays\.$/);
    await rollMany(page, 6);
    assert.match(await textOf(page, '#verdict'), /^Hardly chance\..* less than 0\.1 %/);
    results = [9];
    await rollMany(page, 1);
    assert.equal(await textOf(page, '#verdict'), '9 came up, which this die does not have.');
    await page.click('#clear');
    assert.equal(await textOf(page, '#verdict'), '');
  });

  test('the statistics can be downloaded as CSV', async (t) => {
    const { page, seen } = await openPage(t, browser);
    assert.ok(await page.isDisabled('#csv'), 'nothing to download yet');
    await chooseDie(page, 'risky');
    await rollMany(page, 120);
    const downloading = page.waitForEvent('download');
    await page.click('#csv');
    const download = await downloading;
    assert.equal(download.suggestedFilename(), 'risky.csv');
    const [head, ...lines] = (await readFile(await download.path(), 'utf8')).trimEnd().split('\r\n');
    assert.equal(head, 'die,face,count,observed_share,expected_share');
    const bars = await barsShown(page);
    const { count, failures } = await statisticsShown(page);
    const share = (n) => (n / Number(count)).toFixed(6);
    const { probabilities } = await askService('/dice/risky');
    assert.deepEqual(lines, [
      ...Object.entries(bars).map(([face, n]) => `risky,${face},${n},${share(n)},${probabilities[face].toFixed(6)}`),
      `risky,failed,${failures},,`,
    ]);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('the load of each service is drawn as it happens', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    const figures = () => page.locator('#live tr').evaluateAll((rows) => Object.fromEntries(rows.map((row) =>
      [row.dataset.service, Object.fromEntries([...row.querySelectorAll('[data-live]')].map((cell) => [cell.dataset.live, cell.innerText]))])));
    await page.waitForFunction(() => /\d/.test(document.querySelector('#live [data-service=frontend] [data-live=rate]')?.innerText));
    do await rollOnce(page); while (await textOf(page, '#outcome-text') !== 'The roll failed.');
    await page.waitForFunction(() => parseFloat(document.querySelector('#live [data-service=dice-roller] [data-live=errors]')?.innerText) > 0);
    const { frontend, 'dice-roller': roller, 'die-service': dice } = await figures();
    assert.ok(parseFloat(frontend.rate) > 0 && parseFloat(roller.rate) > 0 && parseFloat(dice.rate) > 0, JSON.stringify({ frontend, roller, dice }));
    for (const { p95 } of [frontend, roller, dice]) assert.match(p95, /^(< 5 ms|[\d.]+ (ms|s))$/);
    assert.equal(dice.errors, '0 %', 'the fault is not its own');
    assert.ok(await page.locator('#live [data-service=dice-roller] .bad-bar').count() > 0);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('what the page itself asks is no load', async (t) => {
    const { page } = await openPage(t, browser);
    const requests = await page.evaluate(async () => {
      const { readMetrics } = await import('./metrics.js');
      const line = (route, n, status = 200) => `http_requests_total{method="GET",route="${route}",status="${status}"} ${n}`;
      return readMetrics([line('/page/metrics', 5), line('/livez', 5), line('/metrics', 5), line('/app.js', 5), line('/traces/{trace_id}', 5),
        line('/roll', 2), line('/roll', 3, 503), line('/', 1), line('unmatched', 1, 404)].join('\n'));
    });
    assert.equal(requests.requests, 7);
    assert.equal(requests.errors, 3);
  });

  test('quantiles and rates are those of the time between two readings', async (t) => {
    const { page } = await openPage(t, browser);
    const seen = await page.evaluate(async () => {
      const { load, readMetrics } = await import('./metrics.js');
      const reading = (requests, errors, buckets) => readMetrics([
        `http_requests_total{method="GET",route="/roll",status="200"} ${requests - errors}`,
        `http_requests_total{method="GET",route="/roll",status="500"} ${errors}`,
        ...buckets.map(([bound, n]) => `http_request_duration_seconds_bucket{method="GET",route="/roll",le="${bound}"} ${n}`),
        'database_connection_pool_size 8', 'database_connection_pool_available 5',
      ].join('\n'));
      const before = reading(100, 10, [[0.1, 100], [0.2, 100], ['+Inf', 100]]);
      const after = reading(120, 15, [[0.1, 110], [0.2, 120], ['+Inf', 120]]);
      const beyond = reading(140, 15, [[0.1, 110], [0.2, 120], ['+Inf', 140]]);
      // Began anew and had more requests since, of which fewer failed.
      const anew = reading(130, 2, [[0.1, 110], [0.2, 130], ['+Inf', 130]]);
      const quick = reading(140, 15, [[0.1, 130], [0.2, 130], ['+Inf', 130]]);
      return { usual: load(before, after, 4), beyond: load(after, beyond, 4).p95, quick: load(after, quick, 4).p95,
               idle: load(after, after, 4), anew: [load(after, before, 4), load(after, anew, 4)], missing: load(null, after, 4), pool: before.pool };
    });
    assert.deepEqual(seen, {
      usual: { rate: 5, errorShare: 0.25, p95: { sign: '', seconds: 0.19 } }, beyond: { sign: '>', seconds: 0.2 },
      quick: { sign: '<', seconds: 0.1 }, idle: { rate: 0, errorShare: 0, p95: null },
      anew: [null, null], missing: null, pool: { size: 8, available: 5 },
    });
  });

  test('nothing is told of a time in which nobody looked', async (t) => {
    const { page } = await openPage(t, browser, { prepare: (fresh) => fresh.clock.install() });
    let requests = 100;
    await page.route('**/page/metrics', (route) => route.fulfill({ json: {
      frontend: `http_requests_total{method="GET",route="/roll",status="200"} ${requests}`, 'dice-roller': null, 'die-service': null,
    } }));
    const rate = () => page.locator('#live [data-service=frontend] [data-live=rate]').innerText();
    const read = async (ms) => {
      const answered = page.waitForResponse('**/page/metrics');
      await page.clock.runFor(ms);
      await answered;
    };
    await read(20000);  // those read before were other counters
    await read(2000);
    requests = 120;
    await read(2000);
    await page.waitForFunction(() => parseFloat(document.querySelector('#live [data-service=frontend] [data-live=rate]').innerText) > 0);
    const bars = await page.locator('#live [data-service=frontend] .bar').count();

    await page.evaluate(() => Object.defineProperty(document, 'hidden', { configurable: true, value: true }));
    await page.clock.runFor(60000);
    requests = 500;
    await page.evaluate(() => delete document.hidden);
    await read(2000);
    await page.waitForFunction(() => document.querySelector('#live [data-service=frontend] [data-live=rate]').innerText === '–');
    assert.equal(await page.locator('#live [data-service=frontend] .bar').count(), bars, 'a gap in the trend stays a gap');
    await read(2000);
    await page.waitForFunction(() => document.querySelector('#live [data-service=frontend] [data-live=rate]').innerText === '0.0');
    assert.equal(await rate(), '0.0');
  });

  test('the use of the connection pool is told where there is one', async (t) => {
    const { page } = await openPage(t, browser);
    await page.route('**/page/metrics', (route) => route.fulfill({ json: {
      frontend: '', 'dice-roller': null, 'die-service': 'database_connection_pool_size 8\ndatabase_connection_pool_available 5\n',
    } }));
    await waitForText(page, '#live-note', /^Database connections in use: 3 of 8\.$/);
    assert.match(await textOf(page, '#live [data-service=dice-roller]'), /does not answer/);
  });

  test('traces and spans that are left out are told', async (t) => {
    const { page } = await openPage(t, browser);
    let [traces, spans] = [100, 7];
    await page.route('**/page/metrics', (route) => route.fulfill({ json: {
      frontend: `otel_sdk_sampler_trace_unsampled_total ${traces}\notel_sdk_processor_span_dropped_total 0\n`,
      'dice-roller': `otel_sdk_processor_span_dropped_total ${spans}\n`, 'die-service': null,
    } }));
    await page.reload();
    await waitForText(page, '#live-note', /^$/);
    [traces, spans] = [1300, 8];
    await waitForText(page, '#live-note',
                      /^Left out in the last two minutes, because too many spans waited for the collector: 1200 traces of frontend, 1 span of dice-roller\.$/);
    [traces, spans] = [1300, 3];
    await waitForText(page, '#live-note', /: 1200 traces of frontend, 3 spans of dice-roller\.$/);
  });

  test('the chance of a deviation is that of the chi-squared distribution', async (t) => {
    const { page } = await openPage(t, browser);
    // Counts of dice with equal faces whose chi-squared is known, and the textbook's critical values.
    const chances = await page.evaluate(async () => {
      const { fit } = await import('./statistics.js');
      const die = (faces) => ({ probabilities: Object.fromEntries(Array.from({ length: faces }, (_, i) => [i, 1 / faces])) });
      return [
        fit(die(2), new Map([[0, 60], [1, 40]])), fit(die(3), new Map([[0, 20], [1, 30], [2, 40]])),
        fit(die(6), new Map([[0, 5], [1, 8], [2, 9], [3, 8], [4, 10], [5, 20]])), fit(die(2), new Map([[0, 5000], [1, 0]])),
      ].map(({ chi, freedom, chance }) => [chi.toFixed(3), freedom, chance.toFixed(4)]);
    });
    assert.deepEqual(chances, [['4.000', 1, '0.0455'], ['6.667', 2, '0.0357'], ['13.400', 5, '0.0199'], ['5000.000', 1, '0.0000']]);
  });
});
