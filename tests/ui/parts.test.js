import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { faultsOf, launch, openPage } from './support.js';

// The page's modules one by one, in the browser they are written for.
describe('Parts of the page', () => {
  let browser;
  let page;
  let seen;
  before(async () => {
    browser = await launch();
    ({ page, seen } = await openPage({ after: () => {} }, browser));
  });
  after(async () => {
    await browser.close();
    assert.deepEqual(faultsOf(seen), []);
  });

  test('statistics are those of the numbers, and failures are not numbers', async () => {
    const summary = await page.evaluate(async () => {
      const { RunningStatistics } = await import('./statistics.js');
      const statistics = new RunningStatistics();
      statistics.add([2, 4, null, 4, 4]);
      statistics.add([5, 5, 7, 9, null]);
      return statistics.summary();
    });
    assert.deepEqual(summary, { count: 8, failures: 2, rolls: 10, min: 2, max: 9, mean: 5, stddev: 2 });
  });

  test('statistics of nothing are empty, not zero or NaN', async () => {
    const summary = await page.evaluate(async () => {
      const { RunningStatistics } = await import('./statistics.js');
      const statistics = new RunningStatistics();
      statistics.add([null]);
      return statistics.summary();
    });
    assert.deepEqual(summary, { count: 0, failures: 1, rolls: 1, min: null, max: null, mean: null, stddev: null });
  });

  test('the expectation of a loaded die follows its probabilities and its error rate', async () => {
    const ideal = await page.evaluate(async () => {
      const { expectation } = await import('./statistics.js');
      return expectation({ faces: [-1, 3, 8], error_rate: 0.25, probabilities: { '-1': 0.5, 3: 0.5, 8: 0 } }, 40);
    });
    assert.deepEqual(ideal, { count: 30, failures: 10, min: -1, max: 3, mean: 1, stddev: 2 });
  });

  test('faces are in numeric order, and one that the die should not have is shown without expectation', async () => {
    const bars = await page.evaluate(async () => {
      const { distribution } = await import('./statistics.js');
      return distribution({ probabilities: { 10: 0.5, '-2': 0.5 } }, new Map([[3, 1], [10, 3]]));
    });
    assert.deepEqual(bars, [
      { face: -2, count: 0, observed: 0, expected: 0.5 },
      { face: 3, count: 1, observed: 0.25, expected: null },
      { face: 10, count: 3, observed: 0.75, expected: 0.5 },
    ]);
  });

  test('the axis is cut into a few round steps', async () => {
    const steps = await page.evaluate(async () => {
      const { tickStep } = await import('./histogram.js');
      return [0.1, 0.17, 0.27, 0.5, 0.67, 1].map(tickStep);
    });
    assert.deepEqual(steps.map((step) => Number(step.toFixed(6))), [0.05, 0.05, 0.1, 0.2, 0.2, 0.5]);
  });

  test('a die of a hundred faces fits on a phone, with fewer labels', async () => {
    const drawn = await page.evaluate(async () => {
      const { drawHistogram } = await import('./histogram.js');
      const node = document.querySelector('#histogram');
      const bars = Array.from({ length: 100 }, (_, i) => ({ face: i + 1, count: 1, observed: 0.01, expected: 0.01 }));
      drawHistogram(node, bars, 300);
      const rights = [...node.querySelectorAll('.bar')].map((bar) => Number(bar.getAttribute('x')) + Number(bar.getAttribute('width')));
      return { bars: rights.length, right: Math.max(...rights), labels: node.querySelectorAll('text.count').length };
    });
    assert.equal(drawn.bars, 100);
    assert.ok(drawn.right <= 300 && drawn.labels > 3 && drawn.labels < 20, JSON.stringify(drawn));
  });

  test('faces beyond nine pips are written as numbers', async () => {
    const faces = await page.evaluate(async () => {
      const { dieFace } = await import('./die_face.js');
      return [9, 10, 0, -4, null].map((result) => {
        const face = dieFace(result);
        return [face.querySelectorAll('circle').length, face.textContent, face.getAttribute('aria-label')];
      });
    });
    assert.deepEqual(faces, [[9, '', '9'], [0, '10', '10'], [0, '0', '0'], [0, '-4', '-4'], [0, '', 'failed']]);
  });

  test('long numbers fit on a die and under the bars', async () => {
    const drawn = await page.evaluate(async () => {
      const { dieFace } = await import('./die_face.js');
      const { drawHistogram } = await import('./histogram.js');
      document.querySelector('#felt').replaceChildren(...[12, 123, 1234, -1234567890].map(dieFace));
      const dice = [...document.querySelectorAll('#felt .die')].map((die) =>
        die.querySelector('text').getBBox().width / die.querySelector('rect').getBBox().width);
      const node = document.querySelector('#histogram');
      const bars = Array.from({ length: 20 }, (_, i) => ({ face: 1000000 + i, count: 12345, observed: 0.05, expected: 0.05 }));
      drawHistogram(node, bars, 600);
      const labels = [...node.querySelectorAll('text.count')].map((label) => label.getBBox());
      const faces = [...node.querySelectorAll('text.axis[text-anchor=middle]')].map((label) => label.getBBox());
      const gaps = [labels, faces].flatMap((all) => all.slice(1).map((box, i) => box.x - all[i].x - all[i].width));
      return { dice, gap: Math.min(...gaps) };
    });
    assert.ok(drawn.dice.every((share) => share < 0.95) && drawn.gap > 0, JSON.stringify(drawn));
  });

  test('times and shares are told in round numbers', async () => {
    const told = await page.evaluate(async () => {
      const { duration, percent } = await import('./words.js');
      return [[0, 0.033, 0.0996, 9.94, 9.96, 999.4, 999.6].map(duration), [0, 0.0004, 0.001, 0.5].map(percent)];
    });
    assert.deepEqual(told, [['0', '33 µs', '0.1 ms', '9.9 ms', '10 ms', '999 ms', '1.0 s'], ['0 %', '< 0.1 %', '0.1 %', '50 %']]);
  });

  test('tries are spaced further and further apart, up to ten seconds, until one succeeds', async (t) => {
    const { page: timed } = await openPage(t, browser, { prepare: (fresh) => fresh.clock.install() });
    await timed.evaluate(async () => {
      const { Problem } = await import('./api.js');
      const { Retrier } = await import('./retry.js');
      window.delays = [];
      const task = async () => {
        if (window.delays.length < 6) throw new Problem({ type: 'die-service-unreachable' });
      };
      const retrier = new Retrier(task, (_, delayMs) => window.delays.push(delayMs));
      retrier.run().then(() => { window.done = true; });
    });
    await timed.clock.runFor(60000);
    await timed.waitForFunction(() => window.done);
    assert.deepEqual(await timed.evaluate(() => window.delays), [1000, 2000, 4000, 8000, 10000, 10000]);
  });

  test('a fault of the page itself is not retried but thrown', async () => {
    const message = await page.evaluate(async () => {
      const { Retrier } = await import('./retry.js');
      const retrier = new Retrier(() => Promise.reject(new TypeError('a fault')), () => {});
      return retrier.run().catch((error) => error.message);
    });
    assert.equal(message, 'a fault');
  });

  test('the log keeps the last fifty actions', async () => {
    const actions = await page.evaluate(async () => {
      const { logAction } = await import('./action_log.js');
      for (let i = 1; i <= 60; ++i) logAction({ action: `Roll ${i}`, die: 'fair', outcome: '', durationMs: 1, trace: '' });
      return [...document.querySelectorAll('#log .action')].map((cell) => cell.innerText);
    });
    assert.deepEqual(actions, Array.from({ length: 50 }, (_, i) => `Roll ${60 - i}`));
  });
});
