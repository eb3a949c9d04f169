import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startDice } from './services.js';
import {
  answerWithProblem, chooseDie, faultsOf, launch, openPage, rollMany, rollOnce, textOf, traceRows, traceShown, waitForText,
} from './support.js';

const kTrace = '4bf92f3577b34da6a3ce929d0e0e4736';
const kSummary = /^\d+ spans of 3 services in [\d.]+ m?s\.?/;

const span = (id, parent, more = {}) => ({
  service: 'frontend', id, parent, name: 'GET /roll', kind: 'server', start_us: 1000, duration_us: 500, error: false, message: '', attributes: {}, ...more,
});

// Answers the page's question for a trace, from the `n`th time on with the nth answer.
async function answerWithTraces(page, ...answers) {
  let asked = 0;
  await page.route('**/page/traces/*', (route) => {
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    return answer.status ? route.fulfill(answer) : route.fulfill({ json: { trace_id: kTrace, logs: [], unreachable: [], ...answer } });
  });
  return () => asked;
}

describe('Inside the request', () => {
  let browser;
  before(async () => { browser = await launch(); });
  after(() => browser.close());

  test('a roll is shown as the spans of three services, each inside the one that called it', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^[67] spans of 3 services in [\d.]+ m?s\.$/);
    const rows = await traceRows(page);
    // On PostgreSQL the dice cost a query.
    const query = rows.length === 7 ? [[6, 'SELECT dice']] : [];
    assert.deepEqual(rows.map(({ name, level }) => [level, name]), [
      [1, 'GET /roll'], [2, 'GET → dice-roller'], [3, 'GET /roll'], [4, 'GET → die-service'], [5, 'GET /dice/{die}'], ...query, [4, 'roll 0'],
    ]);
    assert.ok(await page.locator('#lines li').count() >= 6, 'the lines of the whole request');
    rows.forEach((row, i) => assert.ok(i === 0 || (row.left >= rows[0].left - 1 && row.right <= rows[0].right + 1), row.name));
    assert.deepEqual(faultsOf(seen), []);
  });

  test('many rolls lie side by side, and each row says how long it took', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 8);
    await waitForText(page, '#trace-status', /^13 spans of 3 services/);
    const rolls = (await traceRows(page)).filter(({ name }) => name.startsWith('roll '));
    assert.equal(rolls.length, 8);
    const begin = Math.max(...rolls.map(({ left }) => left));
    assert.ok(rolls.every(({ right }) => right > begin), 'all are under way at the same time');
    for (const { took } of rolls) assert.match(took, /^[\d.]+ (µs|ms|s)$/);
  });

  test('of a thousand rolls a few are drawn, the rest on demand, and the failed ones before', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 1000);
    await waitForText(page, '#trace-status', /^1005 spans/);
    assert.equal((await traceRows(page)).length, 5 + 12 + 1);
    await page.locator('.fold').click();
    assert.equal((await traceRows(page)).length, 5 + 112 + 1);
    assert.match((await traceRows(page)).at(-1).name, /^\+ 888 more roll$/);

    await chooseDie(page, 'risky');
    await rollMany(page, 1000);
    await waitForText(page, '#trace-status', /failed\.$/);
    const failed = (await traceRows(page)).filter(({ name }) => name.startsWith('✕'));
    assert.ok(failed.length >= 12, `${failed.length} failures shown`);
  });

  test('a span’s details and its log lines come by click', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollOnce(page);
    await waitForText(page, '#trace-status', kSummary);
    assert.equal(await textOf(page, '#span-name'), 'GET /roll', 'the whole request at first');
    assert.equal(await page.locator('#lines li').count(), 6);
    await page.locator('.row', { hasText: 'GET /dice/{die}' }).click();
    assert.match(await textOf(page, '#span-facts'), /^server span of die-service, after [\d.]+ (µs|ms|s), took [\d.]+ (µs|ms|s)\.$/);
    const attributes = Object.fromEntries(await page.locator('#span-attributes tr').evaluateAll((all) =>
      all.map((row) => [...row.cells].map((cell) => cell.innerText))));
    assert.equal(attributes['http.route'], '/dice/{die}');
    assert.equal(attributes['http.response.status_code'], '200');
    const lines = await page.locator('#lines b').allInnerTexts();
    assert.deepEqual(lines, ['Die specification requested', 'Request handled']);
    assert.match(await textOf(page, '#lines'), /identifier=fair found=true/);
  });

  test('it can be read and used by keyboard alone', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollOnce(page);
    await waitForText(page, '#trace-status', kSummary);
    const focused = () => page.evaluate(() => document.activeElement.querySelector('.name')?.textContent);
    await page.focus('#outcome-trace button');
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'GET /roll', 'one stop for the whole picture');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'GET → die-service');
    assert.equal(await textOf(page, '#span-name'), 'GET /roll', 'moving does not choose');
    await page.keyboard.press('Enter');
    assert.equal(await textOf(page, '#span-name'), 'GET → die-service');
    assert.equal(await focused(), 'GET → die-service', 'the focus stays');
    assert.equal(await page.locator('.row[aria-selected=true] .name').textContent(), 'GET → die-service');
    await page.keyboard.press('End');
    await page.keyboard.press('Space');
    assert.equal(await textOf(page, '#span-name'), 'roll 0');
    await page.keyboard.press('Home');
    assert.equal(await focused(), 'GET /roll');
    await page.keyboard.press('ArrowUp');
    assert.equal(await focused(), 'GET /roll', 'there is nothing above');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.ok(await page.locator('#trace details[open]').count() === 1, 'the table opens by keyboard');
  });

  test('the table behind the picture says the same', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 20);
    await waitForText(page, '#trace-status', kSummary);
    await page.click('#trace summary');
    const table = await page.locator('#trace-table tr').evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
    const rows = await traceRows(page);
    assert.equal(table.length, rows.length);
    assert.deepEqual(table.slice(0, -1).map(([name, , , took]) => [name.replace(/^(– ?)+/, ''), took]), rows.slice(0, -1).map(({ name, took }) => [name, took]));
    assert.equal(table.at(-1)[0], rows.at(-1).name);
    assert.deepEqual(table[0].slice(1, 3), ['frontend', '0']);
    for (const { words, name, took } of rows) assert.ok(words.startsWith(took ? `${name} ${took}, ` : name), `so does what is read out: ${words}`);
  });

  test('a failed roll stands out, is chosen at once, and says why', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await chooseDie(page, 'extreme');
    do await rollOnce(page); while (await textOf(page, '#outcome-text') !== 'The roll failed.');
    await waitForText(page, '#trace-status', /, [1-9] failed\.$/);
    assert.equal(await textOf(page, '#span-name'), 'roll 0');
    assert.equal(await textOf(page, '#span-failure'), 'Failed. The die\'s error rate struck.');
    assert.deepEqual(await page.locator('#lines .failed b').allInnerTexts(), ['Roll failed']);
    const failed = page.locator('.row.failed');
    assert.match(await failed.last().getAttribute('aria-label'), /failed The die's error rate struck\./);
    assert.match(await failed.last().locator('.name').textContent(), /^✕ /, 'not by colour alone');
    assert.deepEqual(faultsOf(seen), []);
  });

  test('older requests are shown again from the log', async (t) => {
    const { page } = await openPage(t, browser);
    await chooseDie(page, 'fair');
    await rollMany(page, 3);
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^6 spans/);
    await page.locator('#log tr', { hasText: 'Roll 3' }).getByText('Show').click();
    await waitForText(page, '#trace-status', /^8 spans/);
    assert.ok(await page.locator('#trace').evaluate((node) => node.contains(document.activeElement)), 'and the focus is there');
  });

  test('what is late is waited for: first nothing, then a part, then the whole', async (t) => {
    const { page } = await openPage(t, browser);
    const call = span('b'.repeat(16), 'a'.repeat(16), { name: 'GET', kind: 'client', attributes: { 'http.response.status_code': '200' } });
    const root = span('a'.repeat(16), '');
    const whole = { spans: [root, call, span('c'.repeat(16), 'b'.repeat(16), { service: 'dice-roller' })] };
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    const answers = [{ spans: [] }, { spans: [root, call] }, whole];
    let asked = 0;
    await page.route('**/page/traces/*', async (route) => {
      const answer = answers[Math.min(asked++, 2)];
      if (answer === whole) await held;
      await route.fulfill({ json: { trace_id: kTrace, logs: [], unreachable: [], ...answer } });
    });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^2 spans of 1 service in .* More may be on its way…$/);
    release();
    await waitForText(page, '#trace-status', /^3 spans of 2 services in [\d.]+ ms\.$/);
    assert.equal(asked, 3, 'then it is not asked again');
  });

  test('while the spans of a request are looked for, those before stay, and the page says that it looks', async (t) => {
    const { page } = await openPage(t, browser);
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^6 spans of 3 services/);
    const height = () => page.locator('#trace').evaluate((node) => node.offsetHeight);
    const before = await height();
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    await page.route('**/page/traces/*', async (route) => {
      await held;
      await route.continue();
    });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^Looking for the spans of this request…$/);
    assert.equal(await page.locator('#trace-view[aria-busy=true] .row').count(), 6);
    assert.equal(await height(), before, 'the page does not jump');
    release();
    await waitForText(page, '#trace-status', /^6 spans of 3 services/);
    assert.equal(await page.locator('#trace-view[aria-busy]').count(), 0);
  });

  test('a trace that stays in part is told to be a part', async (t) => {
    const { page } = await openPage(t, browser, { prepare: (fresh) => fresh.clock.install() });
    await answerWithTraces(page, { spans: [span('a'.repeat(16), 'f'.repeat(16))] });
    await page.click('#roll-once');
    await waitForText(page, '#trace-status', /More may be on its way…$/);
    for (let i = 0; i < 30; ++i) await page.clock.runFor(1000);
    await waitForText(page, '#trace-status', /^1 span of 1 service in [\d.]+ ms\. Some of its spans are missing\.$/);
  });

  test('a request that was not sampled is not looked for', async (t) => {
    const { page } = await openPage(t, browser);
    const asked = await answerWithTraces(page, { spans: [] });
    await page.route('**/roll?*', (route) => route.fulfill({
      headers: { traceresponse: `00-${kTrace}-00f067aa0ba902b7-00` }, json: { die: 'fair', result: 2, trace_id: kTrace },
    }));
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^This request was not sampled/);
    assert.equal(asked(), 0);
  });

  test('a failure that comes late is chosen, unless the user has chosen', async (t) => {
    const root = span('a'.repeat(16), '');
    const call = span('b'.repeat(16), 'a'.repeat(16), { name: 'GET', kind: 'client', attributes: { 'http.response.status_code': '500' } });
    const late = span('c'.repeat(16), 'b'.repeat(16), { service: 'dice-roller', error: true, message: 'It struck.' });
    for (const [chosen, name] of [[null, 'GET /roll'], ['GET', 'GET → dice-roller']]) {
      const { page } = await openPage(t, browser);
      let answer = { spans: [root, call] };
      await page.route('**/page/traces/*', (route) => route.fulfill({ json: { trace_id: kTrace, logs: [], unreachable: [], ...answer } }));
      await rollOnce(page);
      await waitForText(page, '#trace-status', /^2 spans/);
      if (chosen) await page.locator('#waterfall .row', { hasText: chosen }).last().click();
      answer = { spans: [root, call, late] };
      await waitForText(page, '#trace-status', /^3 spans/);
      assert.equal(await textOf(page, '#span-name'), name);
      assert.equal(await page.locator('#span-failure').textContent(), chosen ? '' : 'Failed. It struck.');
    }
  });

  test('the focus stays on its row while more spans come', async (t) => {
    const { page } = await openPage(t, browser);
    const root = span('a'.repeat(16), '');
    const call = span('b'.repeat(16), root.id, { name: 'GET', kind: 'client', attributes: { 'http.response.status_code': '200' } });
    let answer = { spans: [root, call] };
    await page.route('**/page/traces/*', (route) => route.fulfill({ json: { trace_id: kTrace, logs: [], unreachable: [], ...answer } }));
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^2 spans/);
    await page.focus('#waterfall [tabindex="0"]');
    await page.keyboard.press('ArrowDown');
    answer = { spans: [root, call, span('c'.repeat(16), call.id, { service: 'dice-roller' })] };
    await waitForText(page, '#trace-status', /^3 spans/);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.row), call.id);
    await page.setViewportSize({ width: 900, height: 900 });
    await page.waitForFunction(() => !document.querySelector('#waterfall').getAttribute('viewBox').startsWith('0 0 109'));
    assert.equal(await page.evaluate(() => document.activeElement.dataset.row), call.id);
  });

  test('where clocks are apart the picture and the table count from the same start', async (t) => {
    const { page } = await openPage(t, browser);
    await answerWithTraces(page, { spans: [
      span('a'.repeat(16), '', { start_us: 10000, duration_us: 20000 }), span('b'.repeat(16), 'a'.repeat(16), { start_us: 4000 }),
    ] });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^2 spans/);
    await page.click('#trace summary');
    assert.deepEqual(await page.locator('#trace-table td:nth-child(3)').allInnerTexts(), ['6.0 ms', '0']);
    assert.match(await textOf(page, '#span-facts'), /after 6\.0 ms/);
    assert.deepEqual((await traceRows(page)).map(({ words }) => / after ([^,]*)/.exec(words)[1]), ['6.0 ms', '0']);
  });

  test('a span without log lines shows those around it, and says whose they are', async (t) => {
    const { page } = await openPage(t, browser);
    const ids = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(16));
    const line = (id) => ({ timestamp: '2026-01-01T00:00:00.000000Z', level: 'ERROR', message: `of ${id[0]}`, service: 's', span_id: id });
    await answerWithTraces(page, {
      spans: [span(ids[0], ''), span(ids[1], ids[0], { name: 'POST /x' }), span(ids[2], ids[1], { name: 'between' }),
              span(ids[3], ids[2], { name: 'silent', error: true })],
      logs: [line(ids[0]), line(ids[1])],
    });
    await rollOnce(page);
    await waitForText(page, '#span-name', /^silent$/);
    assert.deepEqual(await page.locator('#lines b').allInnerTexts(), ['of b']);
    assert.equal(await textOf(page, '#lines-title'), 'Log lines of POST /x of frontend, around it');
    await page.locator('#waterfall .row').first().click();
    assert.deepEqual(await page.locator('#lines b').allInnerTexts(), ['of a', 'of b']);
    assert.equal(await textOf(page, '#lines-title'), 'Its log lines');
  });

  test('parents in a circle and lines without a time are shown as far as they go', async (t) => {
    const { page, seen } = await openPage(t, browser);
    const [a, b, c] = ['a', 'b', 'c'].map((letter) => letter.repeat(16));
    await answerWithTraces(page, { spans: [span(a, b, { start_us: 900 }), span(b, a), span(c, c)], logs: [{ span_id: a, message: 'x' }] });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^3 spans of 1 service/);
    assert.deepEqual((await traceRows(page)).map(({ level }) => level), [1, 2, 1]);
    assert.deepEqual(await page.locator('#lines b').allInnerTexts(), ['x']);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('the wait for spans that never come ends with a word', async (t) => {
    const { page } = await openPage(t, browser, { prepare: (fresh) => fresh.clock.install() });
    const asked = await answerWithTraces(page, { spans: [] });
    await page.click('#roll-once');
    await waitForText(page, '#trace-status', /^Looking for the spans/);
    for (let i = 0; i < 30; ++i) await page.clock.runFor(1000);
    await waitForText(page, '#trace-status', /^No service remembers this trace/);
    assert.ok(asked() >= 5 && asked() <= 15, `${asked()} times`);
  });

  test('a trace that cannot be loaded is told, and asked for again', async (t) => {
    const { page } = await openPage(t, browser);
    await answerWithTraces(page, { status: 500, body: 'oops' }, { spans: [span('a'.repeat(16), '')] });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^1 span of 1 service in [\d.]+ ms\.$/);
  });

  test('spans of strangers are drawn whatever they hold', async (t) => {
    const { page, seen } = await openPage(t, browser);
    await answerWithTraces(page, { spans: [
      span('a'.repeat(16), 'f'.repeat(16), { name: '<img src=x onerror=alert(1)>'.repeat(9), service: 'a'.repeat(200), duration_us: 0 }),
      span('b'.repeat(16), 'a'.repeat(16), { start_us: 100, error: true, message: '', attributes: { list: { values: [1] }, none: null } }),
      ...Array.from({ length: 6 }, (_, i) => span(String(i).repeat(16), 'a'.repeat(16), { service: `s${i}`, kind: 'producer' })),
    ], logs: [{ timestamp: '2026-01-01T00:00:00.000000Z', level: 'INFO', message: '<b>x</b>', service: 's', span_id: 'b'.repeat(16) }], unreachable: ['s9'] });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^8 spans of 8 services in .*1 failed\. s9 could not be asked/);
    assert.equal(await page.locator('#trace img').count(), 0);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth <= 0), true);
    assert.deepEqual(faultsOf(seen), []);
  });

  test('links lead to the trace, its lines and the dashboard where they are configured, else there are none', async (t) => {
    const plain = await openPage(t, browser);
    await rollOnce(plain.page);
    assert.equal(await plain.page.locator('.links a').count(), 0);

    const { frontend } = await startDice(t, {
      TRACE_LINK: 'http://127.0.0.1:3000/explore?trace={trace_id}', LOGS_LINK: 'http://127.0.0.1:3000/explore?logs="{trace_id}"',
      DASHBOARD_LINK: 'http://127.0.0.1:3000/d/dicebox',
    });
    const { page } = await openPage(t, browser, { path: frontend.url });
    await rollOnce(page);
    const id = await traceShown(page);
    await waitForText(page, '#trace-status', kSummary);
    const links = await page.locator('.links a').evaluateAll((all) => all.map((link) => [link.innerText, link.getAttribute('href')]));
    assert.deepEqual(links, [
      ['Open the trace', `http://127.0.0.1:3000/explore?trace=${id}`],
      ['Open its log lines', `http://127.0.0.1:3000/explore?logs="${id}"`],
      ['Open the dashboard', 'http://127.0.0.1:3000/d/dicebox'],
    ]);
  });

  test('spans and log lines come from stores where they are configured', async (t) => {
    const line = (id) => JSON.stringify({ timestamp: '2026-01-01T00:00:00.000000Z', level: 'INFO', message: `stored ${id}`,
                                          service: 'frontend', trace_id: id, span_id: '00f067aa0ba902b8' });
    let asked = 0;
    const logs = (url) => {
      const id = /%60([0-9a-f]{32})%60/.exec(url)[1];
      // Lines arrive later than spans.
      return { data: { resultType: 'streams', result: ++asked < 3 ? [] : [{ stream: {}, values: [['1', line(id)]] }] } };
    };
    const traces = (url) => ({ batches: [{
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'frontend' } }] },
      scopeSpans: [{ spans: [{ spanId: 'APBnqgupArg=', name: `of ${url.slice(0, 12)}`, kind: 'SPAN_KIND_SERVER',
                               startTimeUnixNano: '1000', endTimeUnixNano: '2000' }] }],
    }] });
    const store = createServer(({ url }, response) => {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(url.startsWith('/loki/') ? logs(url) : traces(url)));
    });
    await new Promise((done) => { store.listen(0, '127.0.0.1', done); });
    t.after(() => { store.closeAllConnections(); store.close(); });
    const url = `http://127.0.0.1:${store.address().port}`;

    const spansAlone = await startDice(t, { TRACE_BUFFER_BYTES: '0', TRACE_QUERY_URL: url });
    const first = await openPage(t, browser, { path: spansAlone.frontend.url });
    await rollOnce(first.page);
    await waitForText(first.page, '#trace-status', /^1 span of 1 service in 1 µs\.$/);
    assert.equal(await textOf(first.page, '#span-name'), 'of /api/traces/');
    assert.match(await textOf(first.page, '#lines-note'), /^They are in the log of each service/);

    const both = await startDice(t, { TRACE_BUFFER_BYTES: '0', TRACE_QUERY_URL: url, LOG_QUERY_URL: url });
    const { page } = await openPage(t, browser, { path: both.frontend.url });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^1 span of 1 service in 1 µs\.$/);
    assert.deepEqual(await page.locator('#lines b').allInnerTexts(), [`stored ${await traceShown(page)}`]);
  });

  test('without a buffer or a store the page says how to have one', async (t) => {
    const { frontend } = await startDice(t, { TRACE_BUFFER_BYTES: '0' });
    const { page } = await openPage(t, browser, { path: frontend.url });
    await rollOnce(page);
    await waitForText(page, '#trace-status', /^To see spans here, start the services with TRACE_BUFFER_BYTES/);
    assert.ok(!(await page.isVisible('#trace-view')));
  });

  test('a request that never got an answer has no trace to look for', async (t) => {
    const { page, context } = await openPage(t, browser);
    await rollOnce(page);
    await context.setOffline(true);
    await page.click('#roll-once');
    await waitForText(page, '#trace-status', /^No answer came/);
    assert.ok(!(await page.isVisible('#trace-view')), 'the trace before is not taken for this one');
    await context.setOffline(false);
  });

  test('an error shows its trace too', async (t) => {
    const { page } = await openPage(t, browser);
    const asked = page.waitForRequest(`**/page/traces/${kTrace}`);
    await answerWithTraces(page, { spans: [span('a'.repeat(16), '', { error: true, message: 'die-service cannot be reached.' })] });
    for (const url of ['**/dice', '**/roll?*']) await answerWithProblem(page, url, { type: 'die-service-unreachable', trace: kTrace });
    await rollOnce(page);
    await asked;
    await waitForText(page, '#span-failure', /^Failed\. die-service cannot be reached\.$/);
  });
});
