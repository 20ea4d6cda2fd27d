/**
 * Timing functions that do the same, in turns.
 *
 * @module
 */

/** How long a sample takes, in ms, and how many there are of each function. */
const SAMPLE = 4, SAMPLES = 30, WARM_UP = 100;

/** What functions return goes here, so that no compiler leaves them out. */
export let sink = 0;

/**
 * Prints what an item costs each function: the least of many samples, in ns, and how many times as fast as the first it is.
 *
 * @param title What they do.
 * @param items How many items a call takes.
 * @param candidates The functions by name; the baseline first.
 */
export function compare(title: string, items: number, candidates: Readonly<Record<string, () => number>>): void {
  const entries = Object.entries(candidates).map(([name, run]) => ({
    name,
    run,
    calls: callsPerSample(run),
    best: Infinity,
  }));
  for (let i = 0; i < SAMPLES; i++) {
    for (const entry of entries) entry.best = Math.min(entry.best, sample(entry.run, entry.calls));
  }
  const baseline = entries[0]!.best;
  for (const { name, best } of entries) {
    const ns = (best / items * 1e6).toFixed(1);
    console.log(
      `${title.padEnd(28)} ${name.padEnd(34)} ${ns.padStart(10)} ns  ${(baseline / best).toFixed(2).padStart(6)}x`,
    );
  }
}

/** How many calls take as long as a sample should, once it is warm. */
function callsPerSample(run: () => number): number {
  const begun = performance.now();
  for (let calls = 1;;) {
    const ms = sample(run, calls) * calls;
    if (ms < SAMPLE / 2) calls *= 2;
    else if (performance.now() - begun > WARM_UP) return Math.max(1, Math.round(calls * SAMPLE / ms));
  }
}

/** What one of so many calls takes, in ms. */
function sample(run: () => number, calls: number): number {
  const start = performance.now();
  for (let i = 0; i < calls; i++) sink ^= run();
  return (performance.now() - start) / calls;
}
