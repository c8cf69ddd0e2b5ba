import type { Source } from "../../source/source.js";
import { type Extent, packedKeys } from "../driver.js";
import { behindEnd } from "../stored.js";

/** Sectors of which a part is shown, in a file that has more of each. */
export interface Gathering {
  readonly source: Source;
  /** Of the first sector. */
  readonly position: number;
  /** Bytes from one sector to the next. */
  readonly stride: number;
  /** Bytes of a sector that `take` looks at; a file may end behind them. */
  readonly main: number;
  /** Bytes that come of a sector. */
  readonly unit: number;
  /** Puts what is shown of the sector at `at` of `stored` to `to` of `target`; throws if it is not what it should be. `position`: of the sector in the file. */
  take(stored: Buffer, at: number, target: Uint8Array, to: number, position: number): void;
}

/** 128 KiB of data: what the kernel asks for at once. */
const RUN = 64;

/**
 * The map of gathered sectors. One extent per sector would cost a read of 2 KiB each, so whole sectors that are asked for together become one block, up to
 * `RUN`: it is read in one go and gathered straight into the caller's memory. A sector of which only a part is asked for is a block of its own. So a block
 * never holds more than was asked for, and a bad sector spoils no others.
 */
export function gatheredMap(gathering: Gathering): (offset: number, length: number) => Extent {
  const { source, position, stride, main, unit } = gathering;
  const keys = packedKeys();
  let scratch: Buffer = Buffer.alloc(0);

  return (offset, length) => {
    const first = Math.floor(offset / unit);
    const skip = offset - first * unit;
    const start = position + first * stride;
    const stored = Math.floor((source.size - start - main) / stride) + 1;
    if (stored < 1) return { kind: "damaged", length: Math.min(length, unit - skip), error: behindEnd(source, start, main) };
    const whole = skip === 0 && length >= unit;
    const count = whole ? Math.min(Math.floor(length / unit), RUN, stored) : 1;
    const block = {
      key: `${keys}${first}+${count}`,
      size: count * unit,
      source,
      position: start,
      unpack(target: Uint8Array) {
        const wanted = (count - 1) * stride + main;
        if (scratch.length < wanted) scratch = Buffer.allocUnsafeSlow(wanted);
        const content = scratch.subarray(0, wanted);
        source.read(content, start);
        for (let index = 0; index < count; index += 1) {
          gathering.take(content, index * stride, target, index * unit, start + index * stride);
        }
      },
    };
    return { kind: "packed", length: whole ? count * unit : Math.min(length, unit - skip), block, skip };
  };
}
