import { svg } from './dom.js';

const kMaxSize = 25;
const kRoom = 60;  // for all characters of a number together, each as wide as about two thirds of its size

// Which of the nine places of a 3 × 3 grid, row by row, carry a pip.
const kPips = ['', '4', '26', '246', '0268', '02468', '023568', '0234568', '01235678', '012345678'];
const kPlaces = [12, 24, 36];

function marks(result) {
  if (result === null) return [svg('path', { class: 'cross', d: 'M16 16 32 32M32 16 16 32' })];
  const pips = kPips[result];
  if (!pips) {
    const size = Math.min(kMaxSize, kRoom / String(result).length);
    return [svg('text', { x: 24, y: 24, 'font-size': size, 'text-anchor': 'middle', 'dominant-baseline': 'central' }, String(result))];
  }
  return [...pips].map((place) =>
    svg('circle', { cx: kPlaces[place % 3], cy: kPlaces[Math.floor(place / 3)], r: 4.3 }));
}

// The picture of one result; `null` is a roll that failed. Faces other than 1 to 9 are written as a number.
export function dieFace(result) {
  return svg('svg', {
    class: result === null ? 'die failed' : 'die',
    viewBox: '0 0 48 48',
    role: 'img',
    'aria-label': result === null ? 'failed' : String(result),
    'data-result': String(result),
  }, svg('rect', { x: 1, y: 1, width: 46, height: 46, rx: 10 }), ...marks(result));
}

// What lies on the felt when there is no result.
export function restingDie() {
  return svg('svg', { class: 'die ghost', viewBox: '0 0 48 48', 'aria-hidden': 'true' },
    svg('rect', { x: 1, y: 1, width: 46, height: 46, rx: 10 }), ...marks(5));
}
