// Wires the page: what the user does goes to api.js, what comes back is shown.

import { Problem, describeDie, listDice, rollMany, rollOnce } from './api.js';
import { logAction } from './action_log.js';
import { dieFace, restingDie } from './die_face.js';
import { byId, html } from './dom.js';
import { drawHistogram } from './histogram.js';
import { Retrier } from './retry.js';
import { RunningStatistics, distribution, expectation } from './statistics.js';
import { traceId } from './trace_id.js';
import { duration, explain, kServices, percent, plural, whyRollsFail } from './words.js';

const kMaxTimes = 1000;
const kMaxFacesTold = 12;
const kSlowMs = 300;
const kLoadPath = ['frontend', 'die-service'];

const descriptions = new Map();  // die → what die-service said of it last
const fresh = new Set();         // the dice described since the list was loaded
const statistics = new Map();    // die → RunningStatistics
let listed = false;
let rolling = false;
let loadProblem = '';            // the type last shown, so that an outage is logged once
let lostContact = false;         // the outcome on show is an outage that a later load ends

const selected = () => byId('die').value;

function statisticsOf(die) {
  if (!statistics.has(die)) statistics.set(die, new RunningStatistics());
  return statistics.get(die);
}

// ---- The three services: which of them answered last time

// `asked` in the order of the calls: those before the culprit answered, of those after it nothing is known.
function showHealth(asked, culprit) {
  const broken = culprit ? asked.indexOf(culprit) : asked.length;
  asked.forEach((service, i) => {
    const [state, words] = i < broken ? ['ok', ' (answers)'] : i === broken ? ['broken', ' (does not answer)'] : ['', ''];
    const item = byId('chain').querySelector(`[data-service="${service}"]`);
    item.className = state;
    item.querySelector('.quiet').textContent = words;
  });
}

// ---- The dice on offer

function fillDice(dice) {
  const before = selected();
  const options = dice.length > 0 ? dice.map((die) => html('option', { value: die }, die)) : [html('option', { value: '' }, 'No dice')];
  byId('die').replaceChildren(...options);
  if (dice.includes(before)) byId('die').value = before;
  else if (dice.includes('fair')) byId('die').value = 'fair';
  for (const id of ['die', 'roll-once', 'roll-many']) byId(id).disabled = dice.length === 0;
}

async function loadDice() {
  if (!listed) {
    const { data, traceId: trace, durationMs } = await listDice();
    fillDice(data.dice);
    fresh.clear();
    listed = true;
    logAction({ action: 'Load dice', die: '', outcome: plural(data.dice.length, 'die', 'dice'), durationMs, trace });
  }
  // The user may choose another die while one is being described.
  while (selected() && !fresh.has(selected())) {
    const die = selected();
    descriptions.set(die, (await describeDie(die)).data);
    fresh.add(die);
  }
  loadSucceeded();
}

function loadSucceeded() {
  byId('catalog').hidden = true;
  loadProblem = '';
  showHealth(kLoadPath);
  if (lostContact) {
    byId('outcome-advice').textContent = 'The services answer again: you can roll.';
    byId('outcome').classList.remove('bad');
  }
  showDie();
}

function loadFailed(problem, delayMs) {
  const { what: why, service } = explain(problem);
  if (service) showHealth(kLoadPath, service);
  if (problem.type === 'die-not-found') listed = false;
  // With an older description the die can be rolled, and the outcome on show tells of the outage already.
  if (descriptions.has(selected())) return;
  const what = selected() ? `The die ${selected()} could not be loaded` : 'The list of dice could not be loaded';
  byId('catalog-text').textContent = `${what}. ${why} Trying again in ${plural(delayMs / 1000, 'second')}.`;
  byId('catalog-trace').replaceChildren(traceId(problem.traceId));
  byId('catalog').hidden = false;
  if (!selected()) byId('die').options[0].textContent = 'No dice yet';
  if (problem.type !== loadProblem) {
    logAction({ action: 'Load dice', die: selected(), outcome: why, failed: true,
                durationMs: problem.durationMs, trace: problem.traceId });
  }
  loadProblem = problem.type;
}

const loader = new Retrier(loadDice, loadFailed);

// ---- The die that is selected: its facts, its statistics, its histogram

function factsOf({ faces, error_rate: rate }) {
  const which = faces.length <= kMaxFacesTold
    ? `Faces ${faces.join(', ')}.`
    : `${faces.length} faces from ${Math.min(...faces)} to ${Math.max(...faces)}.`;
  return `${which} ${rate > 0 ? `Fails ${percent(rate)} of the time, on purpose.` : 'Never fails.'}`;
}

function figure(value, digits) {
  return value === null || value === undefined ? '–' : value.toFixed(digits);
}

function statisticsRows(seen, ideal) {
  const row = (name, key, digits, idealDigits) =>
    html('tr', { 'data-figure': key }, html('th', { scope: 'row' }, name),
         html('td', {}, figure(seen[key], digits)), html('td', {}, figure(ideal?.[key], idealDigits)));
  return [
    row('Results', 'count', 0, 1),
    row('Failures', 'failures', 0, 1),
    row('Lowest', 'min', 0, 0),
    row('Highest', 'max', 0, 0),
    row('Mean', 'mean', 2, 2),
    row('Standard deviation', 'stddev', 2, 2),
  ];
}

function showDie() {
  const die = descriptions.get(selected());
  const seen = statisticsOf(selected());
  const summary = seen.summary();
  byId('die-facts').textContent = die ? factsOf(die) : '';
  byId('statistics-die').textContent = selected() ? ` of ${selected()}` : '';
  byId('statistics').replaceChildren(...statisticsRows(summary, die && expectation(die, summary.rolls)));
  const histogram = byId('histogram');
  drawHistogram(histogram, distribution(die, seen.counts), Math.max(histogram.clientWidth, 240));
}

// ---- The outcome of the last action

function showOutcome({ text, advice = '', trace, bad = false, lost = false }) {
  byId('outcome-text').textContent = text;
  byId('outcome-advice').textContent = advice;
  byId('outcome-trace').replaceChildren(...(trace === undefined ? [] : [traceId(trace)]));
  byId('outcome').classList.toggle('bad', bad);
  lostContact = lost;
}

function clearFelt() {
  const felt = byId('felt');
  felt.className = 'felt single';
  felt.removeAttribute('tabindex');
  felt.replaceChildren(restingDie());
}

function showDice(results) {
  const felt = byId('felt');
  const single = results.length === 1;
  felt.className = `felt ${single ? 'single' : 'several'}${results.length > 100 ? ' crowd' : ''}`;
  // Something that scrolls must be reachable by keyboard.
  if (single) felt.removeAttribute('tabindex');
  else felt.tabIndex = 0;
  felt.replaceChildren(single ? dieFace(results[0]) : html('ol', { 'aria-label': 'Results' },
    ...results.map((result) => html('li', {}, dieFace(result)))));
}

function mean(results) {
  return results.reduce((sum, result) => sum + result, 0) / results.length;
}

function outcomeOfMany(results) {
  const good = results.filter((result) => result !== null);
  const failed = results.length - good.length;
  const parts = [good.length ? `${plural(good.length, 'result')}, mean ${mean(good).toFixed(2)}` : 'no result'];
  if (failed) parts.push(`${failed} failed`);
  return { text: parts.join(', '), failed };
}

// ---- Rolling

async function act({ action, call, shown }) {
  const die = selected();
  if (rolling || !die) return;
  rolling = true;
  byId('tray').setAttribute('aria-busy', 'true');
  const slow = setTimeout(() => showOutcome({ text: 'Rolling…' }), kSlowMs);
  try {
    const answer = await call(die);
    clearTimeout(slow);
    shown(die, answer);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    clearTimeout(slow);
    actionFailed(action, die, problem);
  } finally {
    clearTimeout(slow);
    rolling = false;
    byId('tray').removeAttribute('aria-busy');
    showDie();
  }
}

function actionFailed(action, die, problem) {
  const { what, advice, service } = explain(problem, descriptions.get(die));
  const madeToFail = problem.type === 'roll-failed';
  if (madeToFail) {
    statisticsOf(die).add([null]);
    showDice([null]);
    showHealth(kServices);
  } else {
    clearFelt();
    if (service) showHealth(kServices, service);
  }
  const lost = service === 'frontend' || service === 'die-service';
  showOutcome({
    text: madeToFail ? what : `${what} The roll was not made.`,
    advice: lost ? `${advice} This page tells you when it answers again.` : advice,
    trace: problem.traceId, bad: true, lost,
  });
  logAction({ action, die, outcome: what, failed: true, durationMs: problem.durationMs, trace: problem.traceId });
  if (lost || problem.type === 'die-not-found') {
    listed = false;
    loader.run();
  }
}

function actionSucceeded({ action, die, results, text, advice, outcome, durationMs, trace }) {
  statisticsOf(die).add(results);
  showDice(results);
  showHealth(kServices);
  showOutcome({ text, advice, trace });
  logAction({ action, die, outcome, durationMs, trace });
}

function rollTheDieOnce() {
  const action = 'Roll once';
  return act({
    action,
    call: rollOnce,
    shown(die, { data, traceId: trace, durationMs }) {
      actionSucceeded({
        action, die, results: [data.result], outcome: String(data.result), durationMs, trace,
        text: `The ${die} die rolled ${data.result}`, advice: `It took ${duration(durationMs)}.`,
      });
    },
  });
}

function rollTheDieManyTimes(times) {
  const action = `Roll ${times}`;
  return act({
    action,
    call: (die) => rollMany(die, times),
    shown(die, { data, traceId: trace, durationMs }) {
      const { text, failed } = outcomeOfMany(data.results);
      actionSucceeded({
        action, die, results: data.results, outcome: text, durationMs, trace,
        text: `${plural(times, 'roll')} of ${die}: ${text}`,
        advice: `It took ${duration(durationMs)}. ${failed ? whyRollsFail(descriptions.get(die)) : ''}`,
      });
    },
  });
}

// A number field gives '' for anything that is not a number.
function checkedTimes() {
  const field = byId('times');
  const times = Number(field.value);
  const good = field.value !== '' && Number.isInteger(times) && times >= 1 && times <= kMaxTimes;
  byId('times-hint').textContent = good
    ? `From 1 to ${kMaxTimes}, all at the same time.`
    : `Enter a whole number from 1 to ${kMaxTimes}.`;
  byId('times-hint').classList.toggle('bad', !good);
  field.setAttribute('aria-invalid', String(!good));
  return good ? times : null;
}

// ---- Events

function onSubmit(form, handler) {
  byId(form).addEventListener('submit', (event) => {
    event.preventDefault();
    handler();
  });
}

onSubmit('once', rollTheDieOnce);
onSubmit('many', () => {
  const times = checkedTimes();
  if (times === null) byId('times').focus();
  else rollTheDieManyTimes(times);
});
byId('times').addEventListener('input', checkedTimes);
byId('die').addEventListener('change', () => {
  showDie();
  loader.run();
});
byId('clear').addEventListener('click', () => {
  statistics.delete(selected());
  showDie();
});
byId('catalog-retry').addEventListener('click', () => loader.run());
addEventListener('online', () => loader.run());
clearFelt();
new ResizeObserver(showDie).observe(byId('histogram'));

loader.run();
