// The panel that shows the load of each service as it happens, from its metrics alone.

import { Problem, getMetrics } from './api.js';
import { cell, fill, html, rowHead, say, svg } from './dom.js';
import { load, readMetrics } from './metrics.js';
import { duration, kServices, percent, plural } from './words.js';

const kEveryMs = 2000;
const kShownMs = 120000;
const kWindowMs = 11000;  // the figures are taken over: ten seconds, as a reading may be late
const kWidth = 180;
const kHeight = 30;

let readings = [];        // { at, services: name → reading or null }, in the order of time
let answered = true;      // frontend gave the last reading

// Nothing is known of a longer time without readings: the page was hidden, the machine asleep, or frontend away.
const between = (from, to, service) =>
  (to.at - from.at > kWindowMs ? null : load(from.services[service], to.services[service], (to.at - from.at) / 1000));

// Requests a second, the failed ones apart, as one bar for the time between two readings; what is not known has none.
function sparkline(service) {
  const loads = readings.slice(1).map((reading, i) => between(readings[i], reading, service));
  const highest = Math.max(1, ...loads.map((one) => one?.rate ?? 0));
  const xOf = ({ at }) => kWidth * (1 - (readings.at(-1).at - at) / kShownMs);
  const bars = loads.flatMap((one, i) => {
    if (!one?.rate) return [];
    const x = xOf(readings[i]);
    const width = xOf(readings[i + 1]) - x - 0.6;
    const height = Math.max((one.rate / highest) * kHeight, 1.5);
    const failed = height * one.errorShare;
    const rect = (name, y, tall) => svg('rect', { class: name, x, y, width, height: tall });
    return [rect('bar', kHeight - height, height - failed), ...(failed ? [rect('bad-bar', kHeight - failed, failed)] : [])];
  });
  return svg('svg', { class: 'sparkline', viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
             svg('line', { class: 'grid', x2: kWidth, y1: kHeight, y2: kHeight }), ...bars);
}

function time({ sign, seconds }) {
  const words = duration(seconds * 1000);
  return sign ? `${sign} ${words.replace('.0 ', ' ')}` : words;
}

function row(service) {
  const now = readings.at(-1);
  const down = now && !now.services[service];
  const seen = now && between(readings.find(({ at }) => now.at - at <= kWindowMs), now, service);
  const figure = (name, text, bad) => cell(text, { class: bad ? 'figure bad' : 'figure', 'data-live': name });
  return html('tr', { 'data-service': service }, rowHead(service),
    ...(down ? [cell('does not answer', { colspan: 3, class: 'bad' })] : [
      figure('rate', seen ? seen.rate.toFixed(1) : '–'),
      figure('errors', seen ? percent(seen.errorShare) : '–', seen?.errorShare > 0),
      figure('p95', seen?.p95 ? time(seen.p95) : '–')]),
    cell(sparkline(service), { class: 'trend' }));
}

function poolWords() {
  const pool = readings.at(-1)?.services['die-service']?.pool;
  return pool ? `Database connections in use: ${pool.size - pool.available} of ${pool.size}.` : '';
}

// What was lost in the time on show. The counters of a service that restarted in it begin at zero.
function lossWords() {
  const lost = kServices.flatMap((service) => {
    const known = readings.map(({ services }) => services[service]?.lost).filter(Boolean);
    return Object.keys(known[0] ?? {}).flatMap((what) => {
      const [before, now] = [known[0][what], known.at(-1)[what]];
      const count = now < before ? now : now - before;
      return count > 0 ? [`${plural(count, what)} of ${service}`] : [];
    });
  });
  return lost.length ? `Left out in the last two minutes, because too many spans waited for the collector: ${lost.join(', ')}.` : '';
}

function draw() {
  fill('live', kServices.map(row));
  say('live-note', answered ? [poolWords(), lossWords()].filter(Boolean).join(' ') : 'frontend does not answer: these figures are old.');
}

// Also gives which services answered; undefined where that cannot be known.
async function read() {
  let found = { frontend: false };
  try {
    const { data } = await getMetrics();
    const services = Object.fromEntries(kServices.map((name) => [name, typeof data[name] === 'string' ? readMetrics(data[name]) : null]));
    const at = Date.now();  // which goes on while the machine sleeps
    readings = [...readings.filter((old) => old.at < at && at - old.at <= kShownMs), { at, services }];
    found = Object.fromEntries(kServices.map((name) => [name, services[name] !== null]));
    answered = true;
  } catch (failure) {
    Problem.of(failure);
    answered = false;
  }
  draw();
  return found;
}

// Reads for as long as the page is looked at; `onRead(begin, found)` is told which services answered.
export async function watchLoad(onRead) {
  draw();
  for (;;) {
    const begin = performance.now();
    if (!document.hidden) onRead(begin, await read());
    await new Promise((resolve) => { setTimeout(resolve, kEveryMs); });
  }
}
