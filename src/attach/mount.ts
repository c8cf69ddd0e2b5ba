import { closeSync } from "node:fs";
import { binding } from "../native/binding.js";
import { mountDetached, placeMount } from "../native/mounting.js";
import { systemCode, UserError } from "../util/errors.js";
import { printable } from "../util/text.js";
import type { FileSystem, MountWay } from "./filesystems.js";

/** mount(2) flags: MS_RDONLY | MS_NOSUID | MS_NODEV. */
const MOUNT_FLAGS = 1 | 2 | 4;

/**
 * Mounts what `device` holds at `mountpoint`, read-only, and tells in which way. Throws a `UserError` about `subject` that says what the kernel lacks or
 * refuses.
 */
export function mountFileSystem(subject: string, device: string, holds: FileSystem, mountpoint: string): MountWay {
  if (holds.ways.length === 0) throw new UserError(`${subject}: ${holds.name} cannot be mounted as it is`, holds.advice);
  const failures: unknown[] = [];
  for (const way of holds.ways) {
    try {
      mountOneWay(device, way, mountpoint);
      return way;
    } catch (error) {
      failures.push(error);
      // Lacking in this kernel, or an option that it does not know: perhaps the next way.
      if (!["ENODEV", "EINVAL"].includes(systemCode(error) ?? "")) break;
    }
  }
  throw explainFailure(subject, holds, failures);
}

function mountOneWay(device: string, { type, options }: MountWay, mountpoint: string): void {
  try {
    const parameters = options.map((option): [string, string] => {
      const [key = "", value = ""] = option.split("=");
      return [key, value];
    });
    const mount = mountDetached(type, [["source", device], ["ro", ""], ...parameters]);
    try {
      placeMount(mount, mountpoint);
    } finally {
      closeSync(mount);
    }
  } catch (error) {
    // Before Linux 5.2, or forbidden by a filter of system calls that does not know them.
    if (systemCode(error) !== "ENOSYS") throw error;
    binding?.mount(device, mountpoint, type, MOUNT_FLAGS, options.join(","));
  }
}

function explainFailure(subject: string, { name, ways, advice }: FileSystem, failures: readonly unknown[]): UserError {
  const told = failures.find((error) => systemCode(error) !== "ENODEV");
  if (told === undefined) {
    const types = [...new Set(ways.map(({ type }) => type))];
    return new UserError(
      `${subject}: this kernel has no driver for ${name}`,
      `Load it ("modprobe ${types.join('" or "modprobe ')}"), where there is one. ${advice ?? ""}`.trim(),
      told,
    );
  }
  const code = systemCode(told);
  if (code === "EPERM" || code === "EACCES") {
    return new UserError(`${subject}: mounting is not permitted here`, 'Run "flatmount doctor" to see what is missing.', told);
  }
  const { detail = "" } = told as { readonly detail?: string };
  // The kernel's words begin with their weight: "e ".
  const words = printable(detail.replace(/^[ewi] /, "").trim());
  return new UserError(
    `${subject}: the kernel cannot mount it as ${name}: ${words || (code ?? "for an unknown reason")}`,
    `The kernel's log ("dmesg") may tell more. ${advice ?? ""}`.trim(),
    told,
  );
}
