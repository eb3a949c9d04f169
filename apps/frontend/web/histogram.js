import { svg } from './dom.js';
import { percent } from './words.js';

const kHeight = 240;
const kMargin = { top: 22, right: 8, bottom: 26, left: 54 };
const kDigitWidth = 8;
const kLabelHeight = 22;

// A step of 1, 2 or 5 times a power of ten (in per cent) that cuts `max` into about four.
export function tickStep(max) {
  const rough = (max * 100) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  return step / 100;
}

function gridLine(share, y, width) {
  return [
    svg('line', { class: 'grid', x1: kMargin.left, x2: width - kMargin.right, y1: y, y2: y }),
    svg('text', { class: 'axis', x: kMargin.left - 8, y, 'text-anchor': 'end', 'dominant-baseline': 'central' }, percent(share)),
  ];
}

function column(bar, x, slot, yOf, labelled) {
  const width = Math.min(slot * 0.62, 64);
  const middle = x + slot / 2;
  const top = yOf(bar.observed);
  const base = yOf(0);
  const parts = [svg('rect', {
    class: 'bar', x: middle - width / 2, y: top, width, height: base - top, rx: Math.min(3, width / 4),
    'data-face': bar.face, 'data-count': bar.count,
  })];
  let labelY = top;
  if (bar.expected !== null) {
    const y = yOf(bar.expected);
    if (y < top && y > top - kLabelHeight) labelY = y;
    const reach = Math.min(slot * 0.42, 44);
    parts.push(svg('line', {
      class: 'expectation', x1: middle - reach, x2: middle + reach, y1: y, y2: y, 'data-expected': bar.expected,
    }));
  }
  if (labelled) {
    parts.push(svg('text', { class: 'axis', x: middle, y: kHeight - 7, 'text-anchor': 'middle' }, String(bar.face)));
    if (bar.count > 0) {
      parts.push(svg('text', { class: 'count', x: middle, y: labelY - 7, 'text-anchor': 'middle' }, String(bar.count)));
    }
  }
  return parts;
}

function inWords(bars) {
  const words = bars.map(({ face, count, observed, expected }) =>
    `face ${face}: ${count} times, ${percent(observed)}` + (expected === null ? '' : `, expected ${percent(expected)}`));
  return words.join('; ') || 'No rolls yet';
}

// Draws `distribution()` into an <svg>, `width` pixels wide: shares as bars, the expected share as a mark across.
export function drawHistogram(node, bars, width) {
  const max = Math.max(0.1, ...bars.map((bar) => Math.max(bar.observed, bar.expected ?? 0)));
  const step = tickStep(max);
  const top = Math.ceil(max / step - 1e-9) * step;
  const yOf = (share) => kHeight - kMargin.bottom - (share / top) * (kHeight - kMargin.top - kMargin.bottom);
  const slot = (width - kMargin.left - kMargin.right) / Math.max(bars.length, 1);
  const longest = Math.max(2, ...bars.flatMap(({ face, count }) => [String(face).length, String(count).length]));
  const every = Math.ceil((longest * kDigitWidth + 6) / slot);

  const parts = [];
  for (let i = 0; i * step <= top + 1e-9; ++i) parts.push(...gridLine(i * step, yOf(i * step), width));
  bars.forEach((bar, i) => parts.push(...column(bar, kMargin.left + i * slot, slot, yOf, i % every === 0)));
  node.setAttribute('viewBox', `0 0 ${width} ${kHeight}`);
  node.setAttribute('aria-label', inWords(bars));
  node.replaceChildren(...parts);
}
