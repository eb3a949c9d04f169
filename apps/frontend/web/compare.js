// Rolls a die n times one by one and n times at once, and draws how long each took.

import { rollMany, rollOnce } from './api.js';
import { fill, html, say, svg } from './dom.js';
import { duration, plural } from './words.js';

function bar(name, share, words) {
  return html('div', { class: 'compared' }, html('p', {}, name, html('b', {}, words)),
    svg('svg', { viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('rect', { class: 'track', width: 1, height: 1 }), svg('rect', { class: 'bar', width: share, height: 1 })));
}

function inWords(times, ratio) {
  if (times === 1) return 'With a single roll there is nothing to gain: try 10.';
  return ratio >= 1.05 ? `All at once was ${ratio.toFixed(1)} times as fast: the rolls ran side by side, as the trace shows.`
    : 'All at once was no faster: the machine was busy, or a roll takes no time.';
}

// `done` of `times` single rolls took `oneByOneMs`, all at once `atOnceMs`, which is not known before the end.
export function drawComparison(times, done, oneByOneMs, atOnceMs) {
  const longest = Math.max(oneByOneMs, atOnceMs ?? 0);
  const under = done < times;
  fill('comparison', [
    bar(`Roll once, ${plural(times, 'time')}`, under ? done / times : oneByOneMs / longest, (under ? `${done} of ${times}, ` : '') + duration(oneByOneMs)),
    bar(`Roll many, ${times}`, atOnceMs ? atOnceMs / longest : 0, atOnceMs ? duration(atOnceMs) : '…'),
  ]);
  say('comparison-words', atOnceMs ? inWords(times, oneByOneMs / atOnceMs) : '');
}

// A single roll that the die makes fail is a roll all the same.
async function rollOnceOrFail(die, signal) {
  try {
    const { data, durationMs } = await rollOnce(die, signal);
    return { result: data.result, durationMs };
  } catch (problem) {
    if (problem.type !== 'roll-failed') throw problem;
    return { result: null, durationMs: problem.durationMs };
  }
}

// `onResults(results, done)` is told of every result. Throws a Problem when a roll could not be made.
export async function compare(die, times, signal, onResults) {
  let oneByOneMs = 0;
  for (let done = 0; done < times; ++done) {
    drawComparison(times, done, oneByOneMs);
    const { result, durationMs } = await rollOnceOrFail(die, signal);
    oneByOneMs += durationMs;
    onResults([result], done + 1);
  }
  drawComparison(times, times, oneByOneMs);
  const { data: { results }, durationMs: atOnceMs, traceId } = await rollMany(die, times, signal);
  onResults(results, times);
  drawComparison(times, times, oneByOneMs, atOnceMs);
  return { oneByOneMs, atOnceMs, results, traceId };
}
