import { svg } from './dom.js';
import { tickStep } from './histogram.js';
import { duration } from './words.js';

const kRow = 28;
const kTop = 26;
const kTimeColumn = 62;
const kIndent = 11;
const kColors = 4;
const kFold = 12;       // like spans side by side before the rest is folded
const kUnfold = 100;    // how many more one press shows

function groups(spans) {
  const all = new Map();
  for (const span of spans) {
    const key = `${span.service} ${span.name}`;
    if (!all.has(key)) all.set(key, []);
    all.get(key).push(span);
  }
  return all;
}

// The rows to draw of what arrange() gave: spans, and where like spans are folded { rest, failed, unfold }. A failed span
// is not folded before as many others. `limits` remembers what was unfolded.
export function rowsOf(roots, limits) {
  const rows = [];
  const add = (node) => {
    rows.push(node);
    for (const [name, members] of groups(node.children)) {
      const key = `${node.id} ${name}`;
      const limit = limits.get(key) ?? kFold;
      let failures = 0;
      const folded = members.filter((span, i) => i >= limit && !(span.error && ++failures <= limit));
      for (const span of members) if (!folded.includes(span)) add(span);
      if (folded.length > 0) {
        const failed = folded.filter(({ error }) => error).length;
        rows.push({ id: key, rest: folded.length, failed, label: `+ ${folded.length} more ${members[0].name}`, depth: node.depth + 1,
                    unfold: () => limits.set(key, limit + kUnfold) });
      }
    }
  };
  roots.forEach(add);
  return rows;
}

// Begins with what can be seen, so that who speaks to the computer can say it.
function inWords(row, took, begin) {
  const failed = row.error ? `, failed ${row.message}` : row.failed ? `, ${row.failed} failed` : '';
  return row.rest ? `${row.label}${failed}, Enter shows them`
    : `${row.label} ${took}, ${row.service}, after ${duration((row.start_us - begin) / 1000)}${failed}`;
}

function drawRow(row, i, { begin, labels, xOf, width, colors, selected }) {
  const y = kTop + i * kRow;
  const x = 8 + row.depth * kIndent;
  const took = row.rest ? '' : duration(row.duration_us / 1000);
  const middle = { y: '50%', 'dominant-baseline': 'central' };
  // An <svg> inside cuts off what is too long.
  const parts = [
    svg('rect', { class: 'hit', x: 1, width: width - 2, height: kRow - 2, rx: 5 }),
    ...(row.id === selected ? [svg('rect', { class: 'mark', x: 1, width: 4, height: kRow - 2, rx: 2 })] : []),
    svg('svg', { x, width: Math.max(labels - x, 30) }, svg('text', { class: 'name', ...middle }, (row.error ? '✕ ' : '') + row.label)),
  ];
  if (!row.rest) {
    const left = xOf(row.start_us);
    parts.push(
      svg('rect', { class: 'bar', x: left, y: 7, width: Math.max(xOf(row.start_us + row.duration_us) - left, 2.5), height: kRow - 16, rx: 2 }),
      svg('text', { class: 'took', x: width - 8, 'text-anchor': 'end', ...middle }, ` ${took}`));
  }
  const kind = row.rest ? 'fold' : `s${colors.get(row.service) % kColors}`;
  return svg('g', {
    class: `row ${kind}${row.error || row.failed ? ' failed' : ''}`, role: 'treeitem', 'data-row': row.id,
    'aria-level': row.depth + 1, 'aria-selected': String(row.id === selected), 'aria-label': inWords(row, took, begin), tabindex: -1,
  }, svg('svg', { y, width, height: kRow - 2 }, ...parts));
}

function grid(begin, end, xOf, height, narrow) {
  const total = Math.max((end - begin) / 1000, 0.001);
  const step = tickStep(narrow ? total * 2.2 : total);
  const parts = [];
  for (let ms = 0; ms <= total * 1.0001; ms += step) {
    const x = xOf(begin + ms * 1000);
    parts.push(svg('line', { class: 'grid', x1: x, x2: x, y1: kTop - 4, y2: height }),
               svg('text', { class: 'axis', x, y: 14, 'text-anchor': ms ? 'middle' : 'start' }, ms ? duration(ms).replace('.0 ', ' ') : '0'));
  }
  return parts;
}

// Draws rows into an <svg role="tree">, `width` pixels wide, from `begin` to `end`. `colors`: service → number. Tab comes to
// the row `focus`, by default the one that has the focus, else to the selected one.
export function drawWaterfall(node, rows, { width, begin, end, colors, selected, focus }) {
  const narrow = width < 520;
  const labels = narrow ? width * 0.44 : Math.min(width * 0.34, 330);
  const right = width - kTimeColumn - 10;
  const xOf = (us) => labels + 10 + ((us - begin) / Math.max(end - begin, 1)) * (right - labels - 10);
  const height = kTop + rows.length * kRow;
  const held = document.activeElement.closest('.waterfall .row')?.dataset.row;
  node.setAttribute('viewBox', `0 0 ${width} ${height}`);
  node.setAttribute('height', height);
  const drawn = rows.map((row, i) => drawRow(row, i, { begin, labels, xOf, width, colors, selected }));
  node.replaceChildren(svg('g', { 'aria-hidden': 'true' }, ...grid(begin, end, xOf, height, narrow)), ...drawn);
  const stop = drawn[[focus, held, selected].map((wanted) => rows.findIndex(({ id }) => id === wanted)).find((at) => at >= 0) ?? 0];
  stop?.setAttribute('tabindex', 0);
  if (held) stop?.focus();
}

const kMoves = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

// Lets a drawn waterfall be used: arrows, Home and End move, click, Enter and Space call `onPick(id)`.
export function listen(node, onPick) {
  const rowOf = (event) => event.target.closest('.row');
  node.addEventListener('click', (event) => { if (rowOf(event)) onPick(rowOf(event).dataset.row); });
  node.addEventListener('keydown', (event) => {
    const rows = [...node.querySelectorAll('.row')];
    const at = rows.indexOf(rowOf(event));
    if (at < 0) return;
    if (event.key === 'Enter' || event.key === ' ') {
      onPick(rows[at].dataset.row);
    } else if (event.key in kMoves) {
      const next = rows[Math.min(Math.max(at + kMoves[event.key], 0), rows.length - 1)];
      rows[at].setAttribute('tabindex', -1);
      next.setAttribute('tabindex', 0);
      next.focus();
    } else {
      return;
    }
    event.preventDefault();
  });
}
