// Kept light: the command line loads it before anything else, so that the daemon starts while the command's words are still being read.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stateFolder } from "./folder.js";

/** A daemon that waits for its wish as its first message. It ends by itself if we do before it has one. */
export interface WaitingDaemon {
  readonly child: ChildProcess;
  /** Where it writes what it has to say. */
  readonly log: string;
}

let waiting: WaitingDaemon | undefined;

/** Starts a daemon ahead of its wish. It does not keep this process alive until it gets one. */
export function warmDaemon(): void {
  waiting = spawnDaemon();
  waiting.child.unref();
  waiting.child.channel?.unref();
  process.once("exit", discard);
}

/** A daemon that waits for its wish. */
export function takeDaemon(): WaitingDaemon {
  const daemon = waiting ?? spawnDaemon();
  waiting = undefined;
  daemon.child.ref();
  daemon.child.channel?.ref();
  return daemon;
}

function discard(): void {
  waiting?.child.kill();
  if (waiting) rmSync(waiting.log, { force: true });
}

function spawnDaemon(): WaitingDaemon {
  const log = join(stateFolder(), `${Date.now()}-${process.pid}.log`);
  const output = openSync(log, "a", 0o600);
  const script = fileURLToPath(new URL("../daemon/main.js", import.meta.url));
  const child = spawn(process.execPath, [script], { detached: true, stdio: ["ignore", output, output, "ipc"], env: daemonEnvironment() });
  closeSync(output);
  return { child, log };
}

/** Node reads extra certificates when it starts, 30 ms for a usual bundle. The daemon speaks to nobody over a network. */
function daemonEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  delete environment["NODE_EXTRA_CA_CERTS"];
  return environment;
}
