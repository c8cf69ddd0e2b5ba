import { binding } from "./binding.js";

/** What the addon exports for mounts without a place, and for files behind a FUSE mount. */
interface MountingBinding {
  mountDetached(type: string, parameters: readonly string[], attributes: number): number;
  placeMount(mount: number, target: string): void;
  openBacking(device: number, file: number): number;
  closeBacking(device: number, number: number): void;
}

/** linux/mount.h, MOUNT_ATTR_*: read-only, no set-user-id programs, no devices. */
const ATTRIBUTES = 1 | 2 | 4;

/**
 * A read-only mount that no path leads to: a descriptor of its root, gone when that and every file in it is closed. `parameters` are those of fsconfig(2);
 * an empty value stands for a flag. Throws what the kernel says, its own words as `detail`. Linux ≥ 5.2.
 */
export function mountDetached(type: string, parameters: readonly (readonly [key: string, value: string])[]): number {
  return native().mountDetached(type, parameters.flat(), ATTRIBUTES);
}

/** Shows a detached mount at `target`. */
export function placeMount(mount: number, target: string): void {
  native().placeMount(mount, target);
}

/** Makes the open file `file` known to a FUSE connection, whose replies to OPEN may then name it by the number returned. Linux ≥ 6.9, privileged. */
export function openBacking(device: number, file: number): number {
  return native().openBacking(device, file);
}

/** Takes that back; files that are open keep it. */
export function closeBacking(device: number, number: number): void {
  native().closeBacking(device, number);
}

function native(): MountingBinding {
  if (!binding) throw new Error("the native addon is not built");
  return binding as unknown as MountingBinding;
}
