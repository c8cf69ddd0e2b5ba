import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { mixed, text } from "../support/content.js";
import { qemuImg } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";

const MIB = 2 ** 20;

export interface SampleDisk {
  /** A qcow2 image. */
  readonly image: string;
  /** The same disk, flat. */
  readonly flat: string;
  readonly content: Buffer;
}

/** A disk of 12 MiB and one sector, with long holes inside and at the end, below `directory`. */
export function sampleDisk(directory: string): SampleDisk {
  const home = subdirectory(directory);
  const image = join(home, "sample.qcow2");
  const flat = join(home, "sample.raw");
  const content = Buffer.concat([mixed(1, 3 * MIB), Buffer.alloc(2 * MIB), text(2, MIB), mixed(3, 4 * MIB), Buffer.alloc(2 * MIB + 512)]);
  writeFileSync(flat, content);
  qemuImg("convert", "-f", "raw", "-O", "qcow2", flat, image);
  return { image, flat, content };
}
