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
    const count = [...this.counts.values()].reduce((sum, n) => sum + n, 0);
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

// The same figures for `rolls` rolls of a perfect die.
export function expectation(die, rolls) {
  const likely = probabilitiesOf(die).filter(([, p]) => p > 0);
  const failures = rolls * (die.error_rate ?? 0);
  return { count: rolls - failures, failures, ...range(likely.map(([face]) => face)), ...moments(likely) };
}

// One entry per face, in order: how often it came up and the share of results it should have.
export function distribution(die, counts) {
  const expected = new Map(die ? probabilitiesOf(die) : []);
  const total = [...counts.values()].reduce((sum, n) => sum + n, 0);
  const faces = [...new Set([...expected.keys(), ...counts.keys()])].sort((a, b) => a - b);
  return faces.map((face) => {
    const count = counts.get(face) ?? 0;
    return { face, count, observed: total ? count / total : 0, expected: expected.get(face) ?? null };
  });
}
