import { binding } from "./binding.js";

/** What the addon exports for loop devices. */
interface LoopBinding {
  attachLoop(file: number, offset: number, size: number, sectorSize: number, flags: number, name: string): number;
  detachLoop(number: number): void;
}

/** linux/loop.h, LO_FLAGS_*. */
const flags = { readOnly: 1, autoclear: 4, partitionScan: 8, directIo: 16 } as const;

export interface LoopOptions {
  /** Bytes. */
  readonly offset: number;
  /** Bytes; 0 for all that follows. */
  readonly size: number;
  /** Bytes: 512, 1024, 2048 or 4096. */
  readonly sectorSize: number;
  readonly partitionScan: boolean;
  /** Read past the page cache of the file, which then is not held twice. */
  readonly directIo: boolean;
  /** Gone when its last user is. */
  readonly autoclear: boolean;
  /** What `losetup` shows; at most 63 bytes of it. */
  readonly name: string;
}

/** Takes a free loop device over the descriptor `file`, read-only; its number. Throws what open(2) and ioctl(2) say. */
export function attachLoop(file: number, { offset, size, sectorSize, partitionScan, directIo, autoclear, name }: LoopOptions): number {
  const wanted = (partitionScan ? flags.partitionScan : 0) | (directIo ? flags.directIo : 0) | (autoclear ? flags.autoclear : 0);
  return native().attachLoop(file, offset, size, sectorSize, flags.readOnly | wanted, name);
}

/** Lets a loop device go: at once, or when its last user is gone. */
export function detachLoop(number: number): void {
  native().detachLoop(number);
}

function native(): LoopBinding {
  if (!binding) throw new Error("the native addon is not built");
  return binding as unknown as LoopBinding;
}
