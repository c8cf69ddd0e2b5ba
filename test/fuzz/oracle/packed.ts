import type { PackedDriver } from "../../../src/source/packed/driver.js";
import type { Source } from "../../../src/source/source.js";
import { ImageError } from "../../../src/util/errors.js";
import { attempt, isCount, Problem, promise, textOf } from "../problem.js";
import { hashOf } from "../random.js";
import type { Run } from "../run.js";

/** What is compared byte by byte; a few KiB can decode to any length. */
const WHOLE = 2 ** 18;

/** Indexes, opens and reads the input's first file as a stream of `driver`'s. */
export function checkPacked(run: Run, driver: PackedDriver): void {
  const source = run.open(0);
  const head = Buffer.alloc(Math.min(source.size, 64));
  source.read(head, 0);
  source.close();
  if (!driver.probe(head)) return;
  checkStream(run, driver, false);
  if (run.random.once(3)) checkStream(run, driver, true);
}

function checkStream(run: Run, driver: PackedDriver, degraded: boolean): void {
  const source = run.open(0);
  const damage: string[] = [];
  const makeIndex = () => driver.index(source, { degraded, damage: (message) => damage.push(message), progress: () => undefined });
  const index = attempt(makeIndex);
  if (index instanceof ImageError) {
    run.tell(textOf(index));
    source.close();
  } else {
    for (const message of damage) promise(message !== "" && !/\p{Cc}/u.test(message), () => `damage told as ${JSON.stringify(message)}`);
    run.tell(hashOf(index), ...damage);
    if (run.thorough && !Buffer.from(index).equals(makeIndex())) throw new Problem("differs", "the index is another one the second time");
    const opened = attempt(() => driver.open(source, index));
    if (opened instanceof ImageError) {
      run.tell(textOf(opened));
      source.close();
    } else {
      promise(opened !== undefined, () => `${driver.name} does not understand its own index`);
      run.trace(false);
      checkContent(run, opened);
      run.trace(true);
      opened.close();
    }
  }
  const left = run.left();
  if (left.length > 0) throw new Problem("leak", `left open: ${left.join()}`);
}

const whole = Buffer.alloc(WHOLE);

function checkContent(run: Run, source: Source): void {
  const { size } = source;
  promise(isCount(size), () => `it decodes to ${size} bytes`);
  run.tell(size);
  const { random } = run;
  const known = whole.subarray(0, Math.min(size, WHOLE)).fill(0x11);
  const all = attempt(() => source.read(known, 0));
  run.tell(all instanceof ImageError ? textOf(all) : hashOf(known));
  for (let range = 0; range < 4 && size > 0; range += 1) {
    const position = random.below(size);
    const target = Buffer.alloc(Math.min(size - position, 1 + random.below(3000)), 0xee);
    const result = attempt(() => source.read(target, position));
    run.tell(result instanceof ImageError ? textOf(result) : hashOf(target));
    if (all instanceof ImageError || position + target.length > known.length) continue;
    if (result instanceof ImageError)
      throw new Problem("differs", `${target.length} bytes at ${position} cannot be read alone: ${result.message}`);
    if (!target.equals(known.subarray(position, position + target.length))) {
      throw new Problem("differs", `${target.length} bytes at ${position} are others when read alone`);
    }
  }
}
