// Problems in words: what happened, whether to try again, and which service does not answer.

export const kServices = ['frontend', 'dice-roller', 'die-service'];

const kServiceProblem = /^(frontend|dice-roller|die-service)-(unreachable|timeout|invalid)$/;
const kSoon = 'Try again in a moment.';

const kServiceWords = {
  unreachable: (service) => ({ what: `${service} cannot be reached.`, advice: kSoon }),
  timeout: (service) => ({ what: `${service} did not answer in time.`, advice: `It may be busy. ${kSoon}` }),
};

// It answered, and yet there was nothing to go on with. die-service does that when it cannot reach its own database.
function answeredInVain(service) {
  return service === 'die-service'
    ? { what: 'die-service answered, but not with a die.', advice: `${kSoon} The spans below say why.` }
    : { what: `${service} gave an answer that makes no sense.`,
        advice: 'Trying again will hardly help. Its log tells more: search it for the trace id.' };
}

export function percent(share) {
  return share > 0 && share < 0.0005 ? '< 0.1 %' : `${Number((share * 100).toFixed(1))} %`;
}

// Failing rolls look like a fault, and are not one where the die is made to fail.
export function whyRollsFail(die) {
  return die?.error_rate > 0 ? `This die is made to fail ${percent(die.error_rate)} of the time: nothing is broken. ` : '';
}

function anythingElse({ title, detail, status, retryAfter }) {
  const what = detail || title || `The service answered with status ${status}.`;
  if (status === 503) return { what, advice: retryAfter ? `Try again in ${retryAfter} s.` : kSoon };
  if (status >= 500) return { what, advice: 'Try again. If it stays, search the logs for the trace id.' };
  return { what, advice: 'Change what you asked for and try again.' };
}

// `die` is the description of the die that was rolled, where it is known.
export function explain(problem, die) {
  if (problem.type === 'roll-failed') return { what: 'The roll failed.', advice: `${whyRollsFail(die)}Roll again.` };
  if (problem.type === 'die-not-found') {
    return { what: 'This die does not exist any more.', advice: 'Choose another: the list is being loaded again.' };
  }
  if (problem.type === 'stopped') return { what: 'Stopped.', advice: 'What the services had begun they may still finish.' };
  if (problem.type === 'frontend-unreachable') {
    return { what: 'No answer: you are offline, or frontend has stopped.', advice: kSoon, service: 'frontend' };
  }
  const [, service, fault] = kServiceProblem.exec(problem.type) ?? [];
  if (fault === 'invalid') return answeredInVain(service);
  return service ? { ...kServiceWords[fault](service), service } : anythingElse(problem);
}

export function duration(ms) {
  if (ms === 0) return '0';
  if (ms < 0.0995) return `${Math.round(ms * 1000)} µs`;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

// What fit() found, for people who never heard of chi-squared.
export function inWordsOfFit({ chi, freedom, chance, missing, impossible }) {
  if (impossible) return `${impossible.join(', ')} came up, which this die does not have.`;
  if (missing) return `Too few results to judge the die: ${plural(missing, 'more result')} will do.`;
  if (freedom === 0) return 'Only one face can come up, and it does.';
  const odds = chance < 0.001 ? 'in less than 0.1 %' : `in ${percent(chance)}`;
  const test = `Chance alone gives a difference this large ${odds} of such series (χ² ${chi.toFixed(1)}, ${plural(freedom, 'degree')} of freedom).`;
  if (chance >= 0.05) return `As expected. ${test}`;
  return chance >= 0.001 ? `Unusual. ${test} Roll more to see whether it stays.` : `Hardly chance. ${test}`;
}
