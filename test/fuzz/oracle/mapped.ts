import { createBlockCache } from "../../../src/disk/cache.js";
import { type Mapped, readDisk } from "../../../src/disk/read.js";
import type { Extent } from "../../../src/formats/driver.js";
import { ImageError } from "../../../src/util/errors.js";
import { attempt, checkError, isCount, Problem, promise, textOf } from "../problem.js";
import { hashOf } from "../random.js";
import type { Run } from "../run.js";

/** Enough to come past the tables of a small image; an image may claim any number. */
const STEPS = 40;
const JUMPS = 8;
const RANGES = 4;
const LONGEST = 3000;

const cache = createBlockCache(2 ** 16);
/** Decodes every block anew. */
const none = createBlockCache(1);

/** Looks at `mapped`, whose file is called `what`, from its start on and here and there: the promises of `map`, and the same bytes in every way. */
export function checkMapped(run: Run, what: string, mapped: Mapped, effort = 1): void {
  const { size } = mapped;
  promise(isCount(size), () => `${what} has ${size} bytes`);
  run.tell(what, size);
  if (size === 0) return;
  const starts: number[] = [];
  let at = 0;
  for (let step = 0; at < size && step < STEPS * effort; step += 1) {
    starts.push(at);
    at += checkMap(run, mapped, at, size - at);
  }
  const { random } = run;
  for (let jump = 0; jump < JUMPS * effort; jump += 1) {
    const offset = random.below(size);
    checkMap(run, mapped, offset, 1 + random.below(random.once(2) ? Math.min(size - offset, 70_000) : size - offset));
    starts.push(offset);
  }
  run.trace(false);
  for (let range = 0; range < RANGES * effort; range += 1) {
    const start = random.pick(starts);
    const border = Math.max(0, start - random.below(300));
    // Where a run begins, a read that comes from before must find the same as one from there.
    const middle = random.once(2) ? start - border : random.below(LONGEST);
    checkRead(run, what, mapped, { offset: border, length: Math.min(size - border, 1 + random.below(LONGEST)), middle });
  }
  const last = Math.min(size, 600);
  checkRead(run, what, mapped, { offset: size - last, length: last, middle: random.below(last) });
  run.trace(true);
}

/** Maps a range twice, with and without its length; the length of the run. */
function checkMap(run: Run, mapped: Mapped, offset: number, length: number): number {
  const extent = mapped.map(offset, length);
  checkExtent(extent, length);
  const short = mapped.map(offset, 1);
  checkExtent(short, 1);
  const [one, other] = [placeOf(extent), placeOf(short)];
  if (one !== other) throw new Problem("differs", `byte ${offset} is mapped to ${one}, and asked for alone to ${other}`);
  // The last byte of a run is where the run says, too.
  const end = extent.length - 1;
  const last = mapped.map(offset + end, 1);
  checkExtent(last, 1);
  const [expected, found] = [placeOf(extent, end), placeOf(last)];
  if (extent.kind === "packed" ? last.kind !== "packed" : expected !== found) {
    throw new Problem("differs", `byte ${offset + end}, the last of a run, is mapped to ${expected}, and asked for alone to ${found}`);
  }
  run.tell(offset, extent.length, one);
  return extent.length;
}

/** The promises of an extent. */
function checkExtent(extent: Extent, asked: number): void {
  const { kind, length } = extent;
  promise(isCount(length) && length >= 1 && length <= asked, () => `map() gave ${length} of ${asked} bytes, ${kind}`);
  switch (kind) {
    case "data": {
      const { position, source } = extent;
      const lies = isCount(position) && position + length <= source.size;
      promise(lies, () => `map() gave ${length} bytes at ${position} of a file of ${source.size}`);
      break;
    }
    case "packed": {
      const { skip, block } = extent;
      const lies = isCount(skip) && isCount(block.size) && skip + length <= block.size;
      promise(lies, () => `map() gave ${length} bytes at ${skip} of a block of ${block.size}`);
      promise(isCount(block.position), () => `map() gave a block at ${block.position}`);
      break;
    }
    case "parent":
      promise(isCount(extent.offset), () => `map() gave offset ${extent.offset} of the parent`);
      break;
    case "damaged":
      promise(extent.error instanceof ImageError, () => "map() gave damage without a reason");
      checkError(extent.error);
      break;
    case "zero":
      break;
  }
}

/** Where the `byte`th byte of a run is. */
function placeOf(extent: Extent, byte = 0): string {
  switch (extent.kind) {
    case "data":
      return `data ${extent.source.name} ${extent.position + byte}`;
    case "packed":
      // How much is decoded at once may depend on how much is wanted.
      return `packed ${extent.block.source.name} ${extent.block.position} ${extent.skip}`;
    case "parent":
      return `parent ${extent.offset + byte}`;
    case "damaged":
      return "damaged";
    case "zero":
      return "zero";
  }
}

const whole = Buffer.alloc(LONGEST + 600);
const pieces = Buffer.alloc(LONGEST + 600);

interface Range {
  readonly offset: number;
  readonly length: number;
  /** Where in it the second piece begins; the end of it, if that is behind. */
  readonly middle: number;
}

/** Reads a range at once, and in two pieces with another cache. */
function checkRead(run: Run, what: string, mapped: Mapped, { offset, length, middle: wanted }: Range): void {
  if (length < 1) return;
  const first = whole.subarray(0, length).fill(0xee);
  const second = pieces.subarray(0, length).fill(0x11);
  const middle = Math.min(length, wanted);
  const one = attempt(() => readDisk(mapped, first, offset, cache));
  const other = attempt(() => {
    readDisk(mapped, second.subarray(0, middle), offset, none);
    readDisk(mapped, second.subarray(middle), offset + middle, none);
  });
  if (one instanceof ImageError || other instanceof ImageError) {
    if (!(one instanceof ImageError) || !(other instanceof ImageError)) {
      const error = one instanceof ImageError ? one : (other as ImageError);
      throw new Problem("differs", `${length} bytes at ${offset} of ${what} can be read in one way and not in another: ${error.message}`);
    }
    run.tell(textOf(one));
    return;
  }
  if (!first.equals(second)) throw new Problem("differs", `${length} bytes at ${offset} of ${what} are not the same when read again`);
  run.tell(hashOf(first));
}
