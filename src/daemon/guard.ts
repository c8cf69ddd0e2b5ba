import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { debug } from "../util/debug.js";

const log = debug("guard");

/** Sees to it that a killed daemon leaves no dead mount. */
export interface Guard {
  /** The mount is gone, or never stood. */
  dismiss(): void;
}

/**
 * A shell that waits for our end, whatever brings it: then the pipe that we hold is closed, and the shell becomes the command that clears a dead mount away, and only there.
 * Until then it is a tenth of what a process of Node's would be. A child has no descriptors of ours, so it keeps no connection alive, unless a library opened
 * one that children get: start it before.
 */
export function startGuard(mountpoint: string): Guard | undefined {
  try {
    return spawnGuard(mountpoint);
  } catch (error) {
    log("no guard: %o", error);
    return undefined;
  }
}

function spawnGuard(mountpoint: string): Guard {
  const program = fileURLToPath(new URL("../cli/main.js", import.meta.url));
  const words = ["-c", 'read -r _ && exit; exec "$@"', "flatmount-guard", process.execPath, program, "list", "--clean", "--", mountpoint];
  const shell = spawn("/bin/sh", words, { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
  shell.once("error", (error) => log("no guard: %o", error));
  // It does not keep us alive.
  shell.unref();
  (shell.stdin as unknown as { unref?: () => void }).unref?.();
  // Said, not signalled: we may be another user by then.
  return { dismiss: () => void shell.stdin.end("\n") };
}
