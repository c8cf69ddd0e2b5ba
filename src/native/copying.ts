import { binding } from "./binding.js";

/** What the addon exports for copies. */
interface CopyingBinding {
  cloneRange(source: number, from: number, target: number, to: number, length: number): boolean;
  copyRange(source: number, from: number, target: number, to: number, length: number): number;
}

const native = binding as (typeof binding & CopyingBinding) | undefined;

/**
 * Lets `target` share `length` bytes of `source`, without a copy (ioctl_ficlonerange(2)). Positions and length in bytes, multiples of the file system's
 * block, but for the end of the source. False where the two files, or these positions, cannot.
 */
export function cloneRange(source: number, from: number, target: number, to: number, length: number): boolean {
  return native?.cloneRange(source, from, target, to, length) ?? false;
}

/** Copies inside the kernel (copy_file_range(2)). Bytes copied, 0 at the source's end; -1 where these two files cannot. */
export function copyRange(source: number, from: number, target: number, to: number, length: number): number {
  return native?.copyRange(source, from, target, to, length) ?? -1;
}
