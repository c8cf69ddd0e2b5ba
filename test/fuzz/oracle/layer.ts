import type { FileEnds, FormatDriver, Layer, Opener, OpenOptions, ParentWish } from "../../../src/formats/driver.js";
import { raw } from "../../../src/formats/raw/index.js";
import type { Source } from "../../../src/source/source.js";
import { ImageError } from "../../../src/util/errors.js";
import { harmlessJson } from "../../../src/util/text.js";
import { attempt, isCount, Problem, promise, textOf } from "../problem.js";
import type { Run } from "../run.js";
import { checkMapped } from "./mapped.js";

/** More parents than any seed has: a mutant may be its own. */
const DEPTH_LIMIT = 4;
const TRACKS = 4;

function endsOf(run: Run): FileEnds {
  const source = run.open(0);
  const head = Buffer.alloc(Math.min(source.size, 65_536));
  const tail = Buffer.alloc(Math.min(source.size, 512));
  source.read(head, 0);
  source.read(tail, source.size - tail.length);
  source.close();
  return { head, tail, size: source.size };
}

/** Opens the input's first file with `driver`, as a disk that the others belong to, and looks at all that the layer promises. */
export function checkDriver(run: Run, driver: FormatDriver, options: OpenOptions = {}): void {
  const ends = endsOf(run);
  const name = run.input.files[0]?.name ?? "";
  run.tell(...(driver.partOf?.(name, ends) ?? []));
  if (!driver.probe(ends)) return;
  const degraded = run.random.once(4);
  const source = run.open(0);
  if (driver.identities) {
    const identities = attempt(() => driver.identities?.(source) ?? []);
    run.tell(identities instanceof ImageError ? textOf(identities) : identities.map(({ value }) => value).join());
  }
  const layer = attempt(() => driver.open(source, openerOf(run, driver, degraded, 0), options));
  if (layer instanceof ImageError) {
    source.close();
    run.tell(textOf(layer));
  } else {
    checkLayer(run, layer);
    layer.close();
  }
  const left = run.left();
  if (left.length > 0)
    throw new Problem("leak", `left open: ${left.join()}, ${layer instanceof ImageError ? "by a failed open()" : "by close()"}`);
}

function checkLayer(run: Run, layer: Layer): void {
  promise(isCount(layer.size), () => `a disk of ${layer.size} bytes`);
  checkFacts(run, layer);
  checkMapped(run, "the disk", layer);
  if (layer.parent) checkMapped(run, "the parent", layer.parent);
  for (const track of (layer.tracks ?? []).slice(0, TRACKS)) checkMapped(run, track.name, track);
  for (const session of layer.sessions ?? []) promise(isCount(session), () => `a session at ${session}`);
  if (run.thorough) checkAudit(run, layer);
}

function checkFacts(run: Run, layer: Layer): void {
  const facts = layer.facts();
  for (const [what, value] of Object.entries(facts.details)) {
    promise(typeof value !== "number" || Number.isFinite(value), () => `a fact: ${what} is ${value}`);
  }
  for (const { created, size } of facts.snapshots ?? []) {
    promise(isCount(size) && created !== "", () => `a snapshot of ${size} bytes, ${created}`);
  }
  run.tell(harmlessJson(facts));
}

function checkAudit(run: Run, layer: Layer): void {
  let count = 0;
  const result = attempt(() =>
    layer.audit?.({
      found(problem) {
        promise(problem.message !== "", () => "a finding without words");
        if (count < 200) run.tell(problem.severity, problem.kind, problem.message, problem.position);
        count += 1;
      },
      doubtful({ start, length }) {
        promise(
          isCount(start) && length >= 1 && start + length <= layer.size,
          () => `doubtful: ${length} bytes at ${start} of ${layer.size}`,
        );
      },
      progress: () => undefined,
    }),
  );
  if (result instanceof ImageError) run.tell(textOf(result));
}

function openerOf(run: Run, driver: FormatDriver, degraded: boolean, depth: number): Opener {
  const names = (folder: string) =>
    run.input.files.flatMap(({ name }) => (name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1)] : []));
  return { degraded, part: (name) => run.part(name), names, parent: (wish) => parentOf(run, driver, wish, depth) };
}

function firstOf(run: Run, names: readonly string[]): Source {
  for (const name of names) {
    const found = attempt(() => run.part(name));
    if (!(found instanceof ImageError)) return found;
  }
  throw new ImageError("PART_MISSING", "there is no such parent");
}

function parentOf(run: Run, driver: FormatDriver, { names, identities }: ParentWish, depth: number): Layer {
  if (depth === DEPTH_LIMIT) throw new ImageError("UNSUPPORTED", "the chain of images is too long");
  const source = firstOf(run, names);
  try {
    const known = identities && driver.identities?.(source);
    if (known && !known.some(({ kind, value }) => identities.some((wanted) => kind === wanted.kind && value === wanted.value))) {
      throw new ImageError("PART_MISSING", "it is another image");
    }
    const head = Buffer.alloc(Math.min(source.size, 65_536));
    const tail = Buffer.alloc(Math.min(source.size, 512));
    source.read(head, 0);
    source.read(tail, source.size - tail.length);
    const own = driver.probe({ head, tail, size: source.size });
    return (own ? driver : raw).open(source, openerOf(run, driver, false, depth + 1), {});
  } catch (error) {
    source.close();
    throw error;
  }
}
