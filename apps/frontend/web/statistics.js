// What a die did and what it should do. Standard deviations are those of the whole population.

function moments(weights) {
  let total = 0;
  let sum = 0;
  for (const [value, weight] of weights) {
    total += weight;
    sum += value * weight;
  }
  if (total === 0) return { mean: null, stddev: null };
  const mean = sum / total;
  let squares = 0;
  for (const [value, weight] of weights) squares += weight * (value - mean) ** 2;
  return { mean, stddev: Math.sqrt(squares / total) };
}

function range(faces) {
  return faces.length === 0 ? { min: null, max: null } : { min: Math.min(...faces), max: Math.max(...faces) };
}

const totalOf = (counts) => [...counts.values()].reduce((sum, n) => sum + n, 0);

// The results of one die so far, kept as a count per face, so that memory does not grow with the rolls.
export class RunningStatistics {
  counts = new Map();
  failures = 0;

  // `null` is a roll that failed.
  add(results) {
    for (const result of results) {
      if (result === null) this.failures += 1;
      else this.counts.set(result, (this.counts.get(result) ?? 0) + 1);
    }
  }

  summary() {
    const count = totalOf(this.counts);
    return {
      count,
      failures: this.failures,
      rolls: count + this.failures,
      ...range([...this.counts.keys()]),
      ...moments(this.counts),
    };
  }
}

function probabilitiesOf(die) {
  return Object.entries(die.probabilities).map(([face, p]) => [Number(face), p]);
}

const likelyOf = (die) => probabilitiesOf(die).filter(([, p]) => p > 0);

// The same figures for `rolls` rolls of a perfect die.
export function expectation(die, rolls) {
  const likely = likelyOf(die);
  const failures = rolls * (die.error_rate ?? 0);
  return { count: rolls - failures, failures, ...range(likely.map(([face]) => face)), ...moments(likely) };
}

// One entry per face, in order: how often it came up and the share of results it should have.
export function distribution(die, counts) {
  const expected = new Map(die ? probabilitiesOf(die) : []);
  const total = totalOf(counts);
  const faces = [...new Set([...expected.keys(), ...counts.keys()])].sort((a, b) => a - b);
  return faces.map((face) => {
    const count = counts.get(face) ?? 0;
    return { face, count, observed: total ? count / total : 0, expected: expected.get(face) ?? null };
  });
}

// The share of chi-squared values above `x` (the upper incomplete gamma function, by its series).
function chanceAbove(x, freedom) {
  const a = freedom / 2;
  const h = x / 2;
  if (h - a > 600) return 0;
  let logGamma = freedom % 2 ? Math.log(Math.PI) / 2 : 0;
  for (let k = freedom % 2 ? 0.5 : 1; k <= a; ++k) logGamma += Math.log(k);
  let term = Math.exp(a * Math.log(h) - h - logGamma);
  let sum = term;
  for (let n = 1; n < h || term > 1e-12 * sum; ++n) {
    term *= h / (a + n);
    sum += term;
  }
  return Math.max(1 - sum, 0);
}

// How far the counts are from those of a perfect die: { chi, freedom, chance }, `chance` being that of a deviation as
// large or larger; { missing } results until the test means something; { impossible } faces that the die does not have.
export function fit(die, counts) {
  const likely = likelyOf(die);
  const impossible = [...counts.keys()].filter((face) => !likely.some(([known]) => known === face));
  const total = totalOf(counts);
  // The usual rule: at least five results expected of every face.
  const missing = Math.ceil(5 / Math.min(...likely.map(([, p]) => p)) - 1e-9) - total;
  if (impossible.length > 0) return { impossible };
  if (missing > 0) return { missing };
  const chi = likely.reduce((sum, [face, p]) => sum + ((counts.get(face) ?? 0) - total * p) ** 2 / (total * p), 0);
  const freedom = likely.length - 1;
  return { chi, freedom, chance: freedom ? chanceAbove(chi, freedom) : 1 };
}

// A line for each face and one for the rolls that failed.
export function toCsv(name, die, statistics) {
  const lines = distribution(die, statistics.counts).map(({ face, count, observed, expected }) =>
    [name, face, count, observed.toFixed(6), expected === null ? '' : expected.toFixed(6)].join(','));
  return ['die,face,count,observed_share,expected_share', ...lines, `${name},failed,${statistics.failures},,`, ''].join('\r\n');
}
