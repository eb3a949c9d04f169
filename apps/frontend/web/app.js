// Wires the page: what the user does goes to api.js, what comes back is shown.

import { Problem, describeDie, getSettings, listDice, rollMany, rollOnce } from './api.js';
import { logAction } from './action_log.js';
import { compare } from './compare.js';
import { dieFace, restingDie } from './die_face.js';
import { byId, html } from './dom.js';
import { drawHistogram } from './histogram.js';
import { watchLoad } from './live.js';
import { Retrier } from './retry.js';
import { RunningStatistics, distribution, expectation, fit, toCsv } from './statistics.js';
import { TraceCard } from './trace_card.js';
import { traceId } from './trace_id.js';
import { duration, explain, inWordsOfFit, kServices, percent, plural, whyRollsFail } from './words.js';

const kMaxTimes = 1000;
const kMaxFacesTold = 12;
const kSlowMs = 300;
const kLoadPath = ['frontend', 'die-service'];

const descriptions = new Map();  // die → what die-service said of it last
const fresh = new Set();         // the dice described since the list was loaded
const statistics = new Map();    // die → RunningStatistics
let listed = false;
let rolling = null;              // the AbortController of the roll under way
let settings = null;
let loadProblem = '';            // the type last shown, so that an outage is logged once
let lostContact = false;         // the outcome on show is an outage that a later load ends

const selected = () => byId('die').value;
const trace = new TraceCard(() => settings);

function log(entry) {
  logAction({
    ...entry,
    show(id) {
      byId('trace').scrollIntoView();
      byId('trace').focus({ preventScroll: true });
      trace.show(id);
    },
  });
}

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
  for (const id of ['die', 'roll-once', 'roll-many', 'compare-run']) byId(id).disabled = dice.length === 0;
}

async function loadDice() {
  if (!listed) {
    const { data, traceId: id, durationMs } = await listDice();
    fillDice(data.dice);
    fresh.clear();
    listed = true;
    log({ action: 'Load dice', die: '', outcome: plural(data.dice.length, 'die', 'dice'), durationMs, trace: id });
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
  if (!settings) loadSettings();
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
    log({ action: 'Load dice', die: selected(), outcome: why, failed: true,
                durationMs: problem.durationMs, trace: problem.traceId });
  }
  loadProblem = problem.type;
}

const loader = new Retrier(loadDice, loadFailed);

async function loadSettings() {
  try {
    settings = (await getSettings()).data;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return;  // asked for again when the dice are loaded again
  }
  const { dashboard } = settings.links;
  byId('live-links').replaceChildren(...(dashboard ? [html('a', { href: dashboard, rel: 'noreferrer' }, 'Open the dashboard')] : []));
}

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
  byId('verdict').textContent = die && summary.count ? inWordsOfFit(fit(die, seen.counts)) : '';
  byId('csv').disabled = byId('clear').disabled = summary.rolls === 0;
}

// ---- The outcome of the last action

function showOutcome({ text, advice = '', id, bad = false, lost = false }) {
  byId('outcome-text').textContent = text;
  byId('outcome-advice').textContent = advice;
  byId('outcome-trace').replaceChildren(...(id === undefined ? [] : [traceId(id)]));
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

// Progress: how many of how many rolls are made, or nothing while that cannot be known.
function showProgress(made, of) {
  const bar = byId('progress');
  if (of) Object.assign(bar, { value: made, max: of });
  else bar.removeAttribute('value');
  byId('under-way').hidden = false;
}

// `call(die, signal)` rolls, `shown(die, answer)` shows what came of it.
async function act({ action, call, shown }) {
  const die = selected();
  if (rolling || !die) return;
  rolling = new AbortController();
  byId('tray').setAttribute('aria-busy', 'true');
  const slow = setTimeout(() => {
    showOutcome({ text: 'Rolling…' });
    if (byId('under-way').hidden) showProgress();
  }, kSlowMs);
  try {
    const answer = await call(die, rolling.signal);
    clearTimeout(slow);
    shown(die, answer);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    clearTimeout(slow);
    actionFailed(action, die, problem);
  } finally {
    clearTimeout(slow);
    rolling = null;
    byId('under-way').hidden = true;
    byId('tray').removeAttribute('aria-busy');
    showDie();
  }
}

function actionFailed(action, die, problem) {
  const { what, advice, service } = explain(problem, descriptions.get(die));
  const madeToFail = problem.type === 'roll-failed';
  const stopped = problem.type === 'stopped';
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
    text: madeToFail || stopped ? what : `${what} The roll was not made.`,
    advice: lost ? `${advice} This page tells you when it answers again.` : advice,
    id: stopped ? undefined : problem.traceId, bad: !stopped, lost,
  });
  log({ action, die, outcome: what, failed: true, durationMs: problem.durationMs, trace: problem.traceId });
  if (!stopped) trace.show(problem.traceId);
  if (lost || problem.type === 'die-not-found') {
    listed = false;
    loader.run();
  }
}

function actionSucceeded({ action, die, results, text, advice, outcome, durationMs, id }) {
  showDice(results);
  showHealth(kServices);
  showOutcome({ text, advice, id });
  log({ action, die, outcome, durationMs, trace: id });
  trace.show(id);
}

function rollTheDieOnce() {
  const action = 'Roll once';
  return act({
    action,
    call: rollOnce,
    shown(die, { data, traceId: id, durationMs }) {
      statisticsOf(die).add([data.result]);
      actionSucceeded({
        action, die, results: [data.result], outcome: String(data.result), durationMs, id,
        text: `The ${die} die rolled ${data.result}`, advice: `It took ${duration(durationMs)}.`,
      });
    },
  });
}

function rollTheDieManyTimes(times) {
  const action = `Roll ${times}`;
  return act({
    action,
    call: (die, signal) => rollMany(die, times, signal),
    shown(die, { data, traceId: id, durationMs }) {
      const { text, failed } = outcomeOfMany(data.results);
      statisticsOf(die).add(data.results);
      actionSucceeded({
        action, die, results: data.results, outcome: text, durationMs, id,
        text: `${plural(times, 'roll')} of ${die}: ${text}`,
        advice: `It took ${duration(durationMs)}. ${failed ? whyRollsFail(descriptions.get(die)) : ''}`,
      });
    },
  });
}

// A single roll whose die fails is a roll all the same.
async function rollOnceOrFail(die, signal) {
  try {
    const { data, durationMs } = await rollOnce(die, signal);
    return { results: [data.result], durationMs };
  } catch (problem) {
    if (problem.type !== 'roll-failed') throw problem;
    return { results: [null], durationMs: problem.durationMs };
  }
}

function compareRolls(times) {
  const action = `Compare ${times}`;
  return act({
    action,
    call: (die, signal) => compare(times, {
      roll: () => rollOnceOrFail(die, signal),
      rollAll: async () => {
        const answer = await rollMany(die, times, signal);
        return { ...answer, results: answer.data.results };
      },
      onResults(results, made) {
        statisticsOf(die).add(results);
        showProgress(made, times);
      },
    }),
    shown(die, { results, oneByOneMs, atOnceMs, traceId: id }) {
      const outcome = `${duration(oneByOneMs)} one by one, ${duration(atOnceMs)} at once`;
      actionSucceeded({
        action, die, results, outcome, durationMs: oneByOneMs + atOnceMs, id,
        text: `${plural(times, 'roll')} of ${die}: ${outcome}`, advice: 'On the felt are those rolled at once.',
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
  if (good) byId('compare-hint').textContent = `Rolls once ${plural(times, 'time')}, then ${times} at once: the number is the one above.`;
  return good ? times : null;
}

// ---- Events

function onSubmit(form, handler) {
  byId(form).addEventListener('submit', (event) => {
    event.preventDefault();
    handler();
  });
}

function onSubmitWithTimes(form, handler) {
  onSubmit(form, () => {
    const times = checkedTimes();
    if (times === null) byId('times').focus();
    else handler(times);
  });
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  html('a', { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

onSubmit('once', rollTheDieOnce);
onSubmitWithTimes('many', rollTheDieManyTimes);
onSubmitWithTimes('compare', compareRolls);
byId('stop').addEventListener('click', () => rolling?.abort());
byId('csv').addEventListener('click', () => {
  const die = selected();
  download(`${die}.csv`, 'text/csv', toCsv(die, descriptions.get(die), statisticsOf(die)));
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
checkedTimes();
new ResizeObserver(showDie).observe(byId('histogram'));

loader.run();
watchLoad();
