// Rolls a die n times one by one and n times at once, and draws how long each took.

import { byId, html, svg } from './dom.js';
import { duration, plural } from './words.js';

function bar(name, ms, longest, words) {
  const share = longest > 0 ? (ms / longest) * 100 : 0;
  return html('div', { class: 'compared' }, html('p', {}, name, html('b', {}, words)),
    svg('svg', { viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('rect', { class: 'track', width: 100, height: 6 }), svg('rect', { class: 'bar', width: share, height: 6 })));
}

// `done` of `times` single rolls took `oneByOneMs`, all at once `atOnceMs`, which is null until it is known.
export function drawComparison({ times, done, oneByOneMs, atOnceMs }) {
  const longest = Math.max(oneByOneMs, atOnceMs ?? 0);
  const first = done < times ? `${done} of ${times}, ${duration(oneByOneMs)}` : duration(oneByOneMs);
  byId('comparison').replaceChildren(
    bar(`Roll once, ${plural(times, 'time')}`, done < times ? (longest * done) / times : oneByOneMs, longest, first),
    bar(`Roll many, ${times}`, atOnceMs ?? 0, longest, atOnceMs === null ? '…' : duration(atOnceMs)));
  byId('comparison-words').textContent = atOnceMs === null ? '' : inWords(times, oneByOneMs / atOnceMs);
}

function inWords(times, ratio) {
  if (times === 1) return 'With a single roll there is nothing to gain: try 10.';
  return ratio >= 1.05 ? `All at once was ${ratio.toFixed(1)} times as fast: the rolls ran side by side, as the trace shows.`
    : 'All at once was no faster this time: the machine was busy, or a roll takes no time (DICE_ROLL_TIME).';
}

// `roll()` and `rollAll()` give { results, durationMs } or throw; `onResults(results, done)` is told of each. Returns what
// rollAll() gave, with both times.
export async function compare(times, { roll, rollAll, onResults }) {
  let oneByOneMs = 0;
  for (let done = 0; done < times; ++done) {
    drawComparison({ times, done, oneByOneMs, atOnceMs: null });
    const single = await roll();
    oneByOneMs += single.durationMs;
    onResults(single.results, done + 1);
  }
  drawComparison({ times, done: times, oneByOneMs, atOnceMs: null });
  const all = await rollAll();
  onResults(all.results, times);
  drawComparison({ times, done: times, oneByOneMs, atOnceMs: all.durationMs });
  return { ...all, oneByOneMs, atOnceMs: all.durationMs };
}
