// The panel that shows the load of each service as it happens, from its metrics alone.

import { Problem, getMetrics } from './api.js';
import { cell, fill, html, rowHead, say, svg } from './dom.js';
import { load, readMetrics } from './metrics.js';
import { duration, kServices, percent } from './words.js';

const kEveryMs = 2000;
const kKept = 61;       // readings, for two minutes
const kWindow = 5;      // readings back that the figures are taken over: ten seconds
const kWidth = 180;
const kHeight = 30;

const readings = [];    // { at, services: name → reading or null }
let answered = true;    // frontend gave the last reading

const between = (from, to, service) =>
  load(from?.services[service], to?.services[service], (to?.at - from?.at) / 1000);

// Requests a second, the failed ones apart, as one bar a reading; what is not known has none.
function sparkline(service) {
  const loads = readings.slice(1).map((reading, i) => between(readings[i], reading, service));
  const highest = Math.max(1, ...loads.map((one) => one?.rate ?? 0));
  const slot = kWidth / (kKept - 1);
  const bars = loads.flatMap((one, i) => {
    if (!one?.rate) return [];
    const x = kWidth - (loads.length - i) * slot;
    const height = Math.max((one.rate / highest) * kHeight, 1.5);
    const failed = height * one.errorShare;
    const rect = (name, y, tall) => svg('rect', { class: name, x, y, width: slot - 0.6, height: tall });
    return [rect('bar', kHeight - height, height - failed), ...(failed ? [rect('bad-bar', kHeight - failed, failed)] : [])];
  });
  return svg('svg', { class: 'sparkline', viewBox: `0 0 ${kWidth} ${kHeight}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
             svg('line', { class: 'grid', x2: kWidth, y1: kHeight, y2: kHeight }), ...bars);
}

const seconds = (value) => (value === null ? '–' : value === Infinity ? '> 10 s' : duration(value * 1000));

function row(service) {
  const now = readings.at(-1);
  const down = now && !now.services[service];
  const seen = between(readings.at(-1 - Math.min(kWindow, readings.length - 1)), now, service);
  const figure = (name, text, bad) => cell(text, { class: bad ? 'figure bad' : 'figure', 'data-live': name });
  return html('tr', { 'data-service': service }, rowHead(service),
    ...(down ? [cell('does not answer', { colspan: 3, class: 'bad' })] : [
      figure('rate', seen ? seen.rate.toFixed(1) : '–'),
      figure('errors', seen ? percent(seen.errorShare) : '–', seen?.errorShare > 0),
      figure('p95', seen ? seconds(seen.p95) : '–')]),
    cell(sparkline(service), { class: 'trend' }));
}

function poolWords() {
  const pool = readings.at(-1)?.services['die-service']?.pool;
  return pool ? `Database connections in use: ${pool.size - pool.available} of ${pool.size}.` : '';
}

function draw() {
  fill('live', kServices.map(row));
  say('live-note', answered ? poolWords() : 'frontend does not answer: these figures are old.');
}

async function read() {
  try {
    const { data } = await getMetrics();
    const services = Object.fromEntries(kServices.map((name) => [name, typeof data[name] === 'string' ? readMetrics(data[name]) : null]));
    readings.push({ at: performance.now(), services });
    if (readings.length > kKept) readings.shift();
    answered = true;
  } catch (failure) {
    Problem.of(failure);
    answered = false;
  }
  draw();
}

// Reads for as long as the page is looked at.
export async function watchLoad() {
  draw();
  for (;;) {
    if (!document.hidden) await read();
    await new Promise((resolve) => { setTimeout(resolve, kEveryMs); });
  }
}
