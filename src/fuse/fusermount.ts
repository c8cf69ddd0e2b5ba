// The setuid helper that mounts FUSE file systems for ordinary users. Reference: libfuse, util/fusermount.c and lib/mount_util.c.
import { spawnSync } from "node:child_process";
import { accessSync, closeSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Binding } from "../native/binding.js";
import { UserError } from "../util/errors.js";
import { accessOptions, type MountRequest } from "./transport.js";

/** The path of fusermount3, or of libfuse 2's fusermount, or undefined if neither is installed. */
export function fusermountProgram(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/bin", "/usr/bin", "/usr/local/bin"].filter((folder) => folder !== "");
  return ["fusermount3", "fusermount"].flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Mounts and returns the descriptor of the connection, which the helper sends over a socket. */
export function mountWithFusermount(native: Binding, { mountpoint, source, allowOther }: MountRequest): number {
  const options = [
    "ro",
    "nosuid",
    "nodev",
    "subtype=flatmount",
    `fsname=${source.replace(/[\\,]/g, "\\$&")}`,
    ...(allowOther ? accessOptions : []),
  ];
  const [ours, theirs] = native.socketPair();
  try {
    const run = runHelper(["-o", options.join(","), "--", mountpoint], theirs);
    const device = run.status === 0 ? native.receiveDescriptor(ours) : -1;
    if (device >= 0) return device;
    throw helperError(mountpoint, run.message);
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

/** Takes the mount away; an error with code `EBUSY` if it is in use and `detach` is false. */
export function unmountWithFusermount(mountpoint: string, detach: boolean): void {
  const run = runHelper(["-u", "-q", ...(detach ? ["-z"] : []), "--", mountpoint]);
  if (run.status === 0) return;
  // With -q the helper says nothing of a busy mount; everything else it names.
  if (run.message === "" || /busy/i.test(run.message)) throw Object.assign(new Error(`${mountpoint} is in use`), { code: "EBUSY" });
  throw new UserError(`${mountpoint}: ${run.message}`);
}

function runHelper(options: readonly string[], socket?: number): { status: number | null; message: string } {
  const program = fusermountProgram();
  if (program === undefined) {
    throw new UserError("fusermount3 is not installed, and without it only root can mount", "Install the package fuse3.");
  }
  const run = spawnSync(program, options, {
    stdio: ["ignore", "ignore", "pipe", ...(socket === undefined ? [] : [socket])],
    env: { ...process.env, ...(socket !== undefined && { _FUSE_COMMFD: "3" }), LC_ALL: "C" },
    encoding: "utf8",
  });
  const message = run.error?.message ?? run.stderr.trim();
  return { status: run.status, message: message.replace(/^\S*fusermount3?: /, "") };
}

function helperError(mountpoint: string, message: string): UserError {
  const hint = /allow_other/.test(message)
    ? "Write the line user_allow_other into /etc/fuse.conf, or leave out --allow-other."
    : 'Run "flatmount doctor" to see what is missing.';
  return new UserError(`${mountpoint}: ${message || "fusermount3 failed without saying why"}`, hint);
}
