// The row of the three services at the top: whether each answered when it was asked last.

import { byId } from './dom.js';
import { kServices } from './words.js';

const kWords = { ok: ' (answers)', broken: ' (does not answer)', '': '' };

const answers = new Map();  // service → whether it answered; without an entry nothing is known
let silentAt = 0;           // when a request met one that did not answer

function draw() {
  for (const service of kServices) {
    const state = answers.has(service) ? (answers.get(service) ? 'ok' : 'broken') : '';
    const item = byId('chain').querySelector(`[data-service="${service}"]`);
    if (item.className === state) continue;
    item.className = state;
    item.lastElementChild.textContent = kWords[state];
    item.lastElementChild.classList.toggle('quiet', state !== 'broken');
  }
}

// What a request told that went through `services` in this order: those before the silent one answered, of those after it
// nothing is known.
export function requestTold(services, silent) {
  if (silent) silentAt = performance.now();
  const broken = silent ? services.indexOf(silent) : services.length;
  services.forEach((service, i) => (i > broken ? answers.delete(service) : answers.set(service, i < broken)));
  draw();
}

// What asking all of them found at the time `at`; `found`: service → true, false, or undefined where nothing is known. It
// says nothing of an outage that a request met since.
export function readingTold(at, found) {
  if (at < silentAt) return;
  for (const service of kServices) {
    if (found[service] === undefined) answers.delete(service);
    else answers.set(service, found[service]);
  }
  draw();
}

export const allAnswer = () => kServices.every((service) => answers.get(service));
