// Rolls a die n times one by one and n times at once, and draws how long each took.

import { Problem, rollMany, rollOnce } from './api.js';
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
function drawComparison(times, done, oneByOneMs, atOnceMs, words = '') {
  const longest = Math.max(oneByOneMs, atOnceMs ?? 0);
  const under = done < times;
  fill('comparison', [
    bar(`Roll once, ${plural(times, 'time')}`, under ? done / times : oneByOneMs / longest, (under ? `${done} of ${times}, ` : '') + duration(oneByOneMs)),
    bar(`Roll many, ${times}`, atOnceMs ? atOnceMs / longest : 0, atOnceMs ? duration(atOnceMs) : words ? '–' : '…'),
  ]);
  say('comparison-words', atOnceMs ? inWords(times, oneByOneMs / atOnceMs) : words);
}

// A single roll that the die makes fail is a roll all the same.
async function rollOnceOrFail(die, signal) {
  try {
    const { data, ...rest } = await rollOnce(die, signal);
    return { result: data.result, ...rest };
  } catch (problem) {
    if (problem.type !== 'roll-failed') throw problem;
    return { result: null, durationMs: problem.durationMs, traceId: problem.traceId, sampled: problem.sampled };
  }
}

// `onResults(results, done)` is told of every result. Throws a Problem when a roll could not be made, which tells in its
// `progress` how far it came, and is of all the time that took and of the last request that was answered.
export async function compare(die, times, signal, onResults) {
  let oneByOneMs = 0;
  let done = 0;
  let last = {};
  try {
    while (done < times) {
      drawComparison(times, done, oneByOneMs);
      const { result, durationMs, ...trace } = await rollOnceOrFail(die, signal);
      last = trace;
      oneByOneMs += durationMs;
      onResults([result], ++done);
    }
    drawComparison(times, times, oneByOneMs);
    const { data: { results }, durationMs: atOnceMs, ...trace } = await rollMany(die, times, signal);
    onResults(results, times);
    drawComparison(times, times, oneByOneMs, atOnceMs);
    return { oneByOneMs, atOnceMs, results, ...trace };
  } catch (failure) {
    const problem = Problem.of(failure);
    const progress = done < times ? `Stopped after ${done} of ${times}.` : `Stopped after ${times} one by one.`;
    drawComparison(times, done, oneByOneMs, undefined, progress);
    throw Object.assign(problem, problem.traceId ? {} : last, { progress, durationMs: oneByOneMs + problem.durationMs });
  }
}
