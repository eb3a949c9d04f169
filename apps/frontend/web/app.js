// Wires the page: what the user does goes to api.js, what comes back is shown.

import { Problem, describeDie, getSettings, listDice, rollMany, rollOnce } from './api.js';
import { logAction } from './action_log.js';
import { allAnswer, readingTold, requestTold } from './chain.js';
import { compare } from './compare.js';
import { dieFace, restingDie } from './die_face.js';
import { byId, cell, fill, html, rowHead, say } from './dom.js';
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
let comparing = false;           // that roll is a comparison
let settings = { traces: 'services', logs: 'services', links: {} };  // until loadSettings()
let loadProblem = '';            // the type last shown, so that an outage is logged once
let lostContact = false;         // the outcome on show is an outage, which ends when all services answer again

const selected = () => byId('die').value;
const traceCard = new TraceCard(() => settings);

// Where traces and lines come from must be known first.
async function showTrace({ traceId: id, sampled }) {
  await settingsLoaded;
  traceCard.show(id, sampled);
}

const log = (entry) => logAction(entry, () => {
  byId('trace').focus();
  showTrace(entry);
});

function statisticsOf(die) {
  if (!statistics.has(die)) statistics.set(die, new RunningStatistics());
  return statistics.get(die);
}

// ---- The dice on offer

function fillDice(dice) {
  const before = selected();
  const options = dice.length > 0 ? dice.map((die) => html('option', { value: die }, die)) : [html('option', { value: '' }, 'No dice')];
  fill('die', options);
  if (dice.includes(before)) byId('die').value = before;
  else if (dice.includes('fair')) byId('die').value = 'fair';
  for (const id of ['die', 'roll-once', 'roll-many', 'compare-run']) byId(id).disabled = dice.length === 0;
}

async function loadDice() {
  if (!listed) {
    const { data, ...rest } = await listDice();
    requestTold(kLoadPath);
    fillDice(data.dice);
    fresh.clear();
    listed = true;
    log({ action: 'Load dice', die: '', outcome: plural(data.dice.length, 'die', 'dice'), ...rest });
  }
  // The user may choose another die while one is being described.
  while (selected() && !fresh.has(selected())) {
    const die = selected();
    try {
      descriptions.set(die, (await describeDie(die)).data);
      requestTold(kLoadPath);
      fresh.add(die);
    } catch (failure) {
      const problem = Problem.of(failure);
      if (die === selected()) throw problem;
    }
  }
  loadSucceeded();
}

function loadSucceeded() {
  byId('catalog').hidden = true;
  loadProblem = '';
  if (lostContact && allAnswer()) {
    lostContact = false;
    say('outcome-advice', 'The services answer again: you can roll.');
    byId('outcome').classList.remove('bad');
  }
  showDie();
}

function loadFailed(problem, delayMs) {
  const { what: why, service } = explain(problem);
  if (service) requestTold(kLoadPath, service);
  if (problem.type === 'die-not-found') listed = false;
  // With an older description the die can be rolled, and the outcome on show tells of the outage already.
  if (descriptions.has(selected())) return;
  const what = selected() ? `The die ${selected()} could not be loaded` : 'The list of dice could not be loaded';
  say('catalog-text', `${what}. ${why} Trying again in ${plural(delayMs / 1000, 'second')}.`);
  fill('catalog-trace', [traceId(problem.traceId)]);
  byId('catalog').hidden = false;
  if (!selected()) byId('die').options[0].textContent = 'No dice yet';
  if (problem.type !== loadProblem) {
    log({ action: 'Load dice', die: selected(), outcome: why, failed: true, durationMs: problem.durationMs, traceId: problem.traceId });
  }
  loadProblem = problem.type;
}

const loader = new Retrier(loadDice, loadFailed);

// The dice may have changed in an outage. What a reading found lets them be loaded, which ends it.
function loadRead(at, found) {
  readingTold(at, found);
  if (!lostContact || !allAnswer()) return;
  listed = false;
  loader.run();
}

// Without them the page does without links.
async function loadSettings() {
  try {
    settings = (await getSettings()).data;
  } catch (failure) {
    return void Problem.of(failure);
  }
  const { dashboard } = settings.links;
  if (dashboard) fill('live-links', [html('a', { href: dashboard }, 'Open the dashboard')]);
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
    html('tr', { 'data-figure': key }, rowHead(name), cell(figure(seen[key], digits)), cell(figure(ideal?.[key], idealDigits)));
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
  say('die-facts', die ? factsOf(die) : '');
  say('statistics-die', selected() ? ` of ${selected()}` : '');
  fill('statistics', statisticsRows(summary, die && expectation(die, summary.rolls)));
  const histogram = byId('histogram');
  drawHistogram(histogram, distribution(die, seen.counts), Math.max(histogram.clientWidth, 240));
  say('verdict', die && summary.count ? inWordsOfFit(fit(die, seen.counts)) : '');
  byId('csv').disabled = byId('clear').disabled = summary.rolls === 0;
}

// ---- The outcome of the last action

function showOutcome({ text, advice = '', traceId: id, bad = false, lost = false }) {
  say('outcome-text', text);
  say('outcome-advice', advice);
  fill('outcome-trace', id === undefined ? [] : [traceId(id)]);
  byId('outcome').classList.toggle('bad', bad);
  lostContact = lost;
}

// Without results a die rests on the felt.
function showDice(results) {
  const felt = byId('felt');
  const single = results.length < 2;
  felt.className = `felt ${single ? 'single' : 'several'}${results.length > 100 ? ' crowd' : ''}`;
  // Something that scrolls must be reachable by keyboard.
  if (single) felt.removeAttribute('tabindex');
  else felt.tabIndex = 0;
  felt.replaceChildren(results.length === 0 ? restingDie() : single ? dieFace(results[0]) : html('ol', { 'aria-label': 'Results' },
    ...results.map((result) => html('li', {}, dieFace(result)))));
}

function inWordsOfMany(results) {
  const good = results.filter((result) => result !== null);
  const failed = results.length - good.length;
  const mean = good.reduce((sum, result) => sum + result, 0) / good.length;
  return (good.length ? `${plural(good.length, 'result')}, mean ${mean.toFixed(2)}` : 'no result') + (failed ? `, ${failed} failed` : '');
}

// ---- Rolling

// Progress: how many of how many rolls are made, or nothing while that cannot be known.
function showProgress(made, of) {
  const bar = byId('progress');
  if (of) Object.assign(bar, { value: made, max: of });
  else bar.removeAttribute('value');
  byId('under-way').hidden = false;
}

// `roll(die, signal)` gives what is to be shown: { results, text, advice, outcome, durationMs, traceId }.
async function act(action, roll) {
  const die = selected();
  if (rolling || !die) return;
  rolling = new AbortController();
  const pressed = document.activeElement;
  byId('tray').setAttribute('aria-busy', 'true');
  const slow = setTimeout(() => {
    showOutcome({ text: 'Rolling…' });
    if (byId('under-way').hidden) showProgress();
  }, kSlowMs);
  try {
    const made = await roll(die, rolling.signal);
    clearTimeout(slow);
    showDice(made.results);
    requestTold(kServices);
    showOutcome(made);
    recordAction({ ...made, action, die });
  } catch (failure) {
    clearTimeout(slow);
    actionFailed(action, die, Problem.of(failure));
  } finally {
    clearTimeout(slow);
    rolling = null;
    if (document.activeElement === byId('stop')) pressed.focus();  // rather than nothing, as Stop goes
    byId('under-way').hidden = true;
    byId('tray').removeAttribute('aria-busy');
    showDie();
  }
}

function recordAction(entry) {
  log(entry);
  showTrace(entry);
}

function actionFailed(action, die, problem) {
  const { what, advice, service } = explain(problem, descriptions.get(die));
  const { type, traceId: id, sampled, durationMs, progress } = problem;
  const madeToFail = type === 'roll-failed';
  const stopped = type === 'stopped';
  if (madeToFail) {
    statisticsOf(die).add([null]);
    showDice([null]);
    requestTold(kServices);
  } else {
    showDice([]);
    if (service) requestTold(kServices, service);
  }
  const lost = service !== undefined;
  const outcome = progress ? (stopped ? progress : `${what} ${progress}`) : what;
  showOutcome({
    text: madeToFail || stopped || progress ? outcome : `${what} The roll was not made.`,
    advice: lost ? `${advice} This page tells you when it answers again.` : advice,
    traceId: id, bad: !stopped, lost,
  });
  recordAction({ action, die, outcome, failed: !stopped, durationMs, traceId: id, sampled });
  if (type === 'die-not-found') {
    listed = false;
    loader.run();
  }
}

const rollTheDieOnce = () => act('Roll once', async (die, signal) => {
  const { data: { result }, ...rest } = await rollOnce(die, signal);
  statisticsOf(die).add([result]);
  return { ...rest, results: [result], outcome: String(result), text: `The ${die} die rolled ${result}`,
           advice: `It took ${duration(rest.durationMs)}.` };
});

const rollTheDieManyTimes = (times) => act(`Roll ${times}`, async (die, signal) => {
  const { data: { results }, ...rest } = await rollMany(die, times, signal);
  statisticsOf(die).add(results);
  const outcome = inWordsOfMany(results);
  const why = results.includes(null) ? whyRollsFail(descriptions.get(die)) : '';
  return { ...rest, results, outcome, text: `${plural(times, 'roll')} of ${die}: ${outcome}`,
           advice: `It took ${duration(rest.durationMs)}. ${why}` };
});

// Stop beside the result may be out of sight, so that the button that was pressed is one too.
const compareRolls = (times) => act(`Compare ${times}`, async (die, signal) => {
  comparing = true;
  say('compare-run', 'Stop');
  const { oneByOneMs, atOnceMs, ...rest } = await compare(die, times, signal, (some, made) => {
    statisticsOf(die).add(some);
    showProgress(made, times);
  }).finally(() => {
    comparing = false;
    say('compare-run', 'Compare');
  });
  const outcome = `${duration(oneByOneMs)} one by one, ${duration(atOnceMs)} at once`;
  return { ...rest, durationMs: oneByOneMs + atOnceMs, outcome, text: `${plural(times, 'roll')} of ${die}: ${outcome}`,
           advice: 'On the felt are those rolled at once.' };
});

// A number field gives '' for anything that is not a number.
function checkedTimes() {
  const field = byId('times');
  const times = Number(field.value);
  const good = field.value !== '' && Number.isInteger(times) && times >= 1 && times <= kMaxTimes;
  say('times-hint', good ? `From 1 to ${kMaxTimes}, all at the same time.` : `Enter a whole number from 1 to ${kMaxTimes}.`);
  byId('times-hint').classList.toggle('bad', !good);
  field.setAttribute('aria-invalid', String(!good));
  return good ? times : null;
}

// ---- Events

const on = (id, type, handler) => byId(id).addEventListener(type, handler);

function onSubmit(form, handler, withTimes) {
  on(form, 'submit', (event) => {
    event.preventDefault();
    const times = withTimes && checkedTimes();
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
onSubmit('many', rollTheDieManyTimes, true);
onSubmit('compare', compareRolls, true);
on('stop', 'click', () => rolling?.abort());
on('compare-run', 'click', (event) => {
  if (!comparing) return;
  event.preventDefault();
  if (event.detail < 2) rolling.abort();  // a double click starts it
});
on('csv', 'click', () => {
  const die = selected();
  download(`${die}.csv`, 'text/csv', toCsv(die, descriptions.get(die), statisticsOf(die)));
});
on('times', 'input', checkedTimes);
on('die', 'change', () => {
  showDie();
  loader.run();
});
on('clear', 'click', () => {
  statistics.delete(selected());
  showDie();
});
on('catalog-retry', 'click', () => loader.run());
addEventListener('online', () => loader.run());
showDice([]);
new ResizeObserver(showDie).observe(byId('histogram'));

const settingsLoaded = loadSettings();
loader.run();
watchLoad(loadRead);
