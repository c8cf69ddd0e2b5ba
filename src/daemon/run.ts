// The daemon: gets its wish over the IPC channel, tells there whether the mount stands, and serves until it is gone.
import { dismissWorker, warmWorker } from "../fuse/pool.js";
import type { Progress } from "../disk/unpack.js";
import { ImageError, UserError } from "../util/errors.js";
import type { DaemonMessage } from "./start.js";
import type { MountWish } from "./wish.js";

const leave = () => process.kill(process.pid, "SIGTERM");

/** Waits for the wish, serves it, and ends when the mount is gone. */
export async function run(): Promise<void> {
  warmWorker();
  // Whoever wanted the mount was stopped before it stood: nobody would know of it.
  process.once("disconnect", leave);
  try {
    const wanted = new Promise<MountWish>((resolve) => process.once("message", resolve));
    const [{ serve }, wish] = await Promise.all([import("./serve.js"), wanted]);
    const { record, note, ended } = await serve(wish, tellProgress());
    await dismissWorker();
    process.title = `flatmount ${wish.image}`;
    process.chdir("/");
    tell({ kind: "ready", record, note });
    await ended;
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    if (process.connected) tell({ kind: "failed", ...describe(error) });
    await dismissWorker();
  }
}

/** At most this often, in milliseconds. */
const PROGRESS_INTERVAL = 100;

function tellProgress(): Progress {
  let last = 0;
  return (step) => {
    if (Date.now() - last < PROGRESS_INTERVAL) return;
    last = Date.now();
    process.send?.({ kind: "progress", ...step } satisfies DaemonMessage);
  };
}

function tell(message: DaemonMessage): void {
  process.off("disconnect", leave);
  process.send?.(message, undefined, undefined, (error) => {
    if (error) leave();
    else process.disconnect();
  });
}

function describe(error: unknown): Omit<Extract<DaemonMessage, { kind: "failed" }>, "kind"> {
  if (error instanceof ImageError)
    return { code: error.code, message: error.message, file: error.file, position: error.position, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return { message, ...(error instanceof UserError && { hint: error.hint }) };
}
