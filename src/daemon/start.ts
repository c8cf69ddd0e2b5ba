import { readFileSync, rmSync } from "node:fs";
import { type ErrorCode, ImageError, UserError } from "../util/errors.js";
import type { Progress } from "../disk/unpack.js";
import { printable } from "../util/text.js";
import type { MountRecord } from "./state.js";
import { takeDaemon } from "./warm.js";
import type { MountWish } from "./wish.js";

/** What the daemon tells its parent: perhaps how far it is, then once how it ended. */
export type DaemonMessage =
  | ({ readonly kind: "progress" } & Parameters<Progress>[0])
  | { readonly kind: "ready"; readonly record: MountRecord; readonly note?: string | undefined }
  | {
      readonly kind: "failed";
      /** Of an `ImageError`. */
      readonly code?: ErrorCode;
      readonly message: string;
      readonly file?: string | undefined;
      readonly position?: number | undefined;
      readonly hint?: string | undefined;
    };

/** Starts a daemon for the mount and returns when the view is readable. Throws what the daemon could not do. `onNote` is told what is unusual, in one line. */
export async function startDaemon(wish: MountWish, progress: Progress, onNote?: (note: string) => void): Promise<MountRecord> {
  const { child: daemon, log } = takeDaemon();
  // It may be reading through a file for minutes, and hears nothing meanwhile but what ends it.
  const stop = () => {
    daemon.kill();
    rmSync(log, { force: true });
    process.exit(1);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  try {
    return await new Promise<MountRecord>((resolve, reject) => {
      daemon.on("message", (message: DaemonMessage) => {
        if (message.kind === "progress") progress(message);
        else if (message.kind === "failed") reject(failure(message));
        else {
          if (message.note !== undefined) onNote?.(message.note);
          resolve(message.record);
        }
      });
      daemon.send({ ...wish, log } satisfies MountWish, (error) => {
        if (error) reject(error);
      });
      daemon.once("error", reject);
      daemon.once("exit", (code, signal) =>
        reject(new UserError(`the daemon ended (${signal ?? `status ${code}`}) before the mount was ready`, saidIn(log))),
      );
    });
  } catch (error) {
    rmSync(log, { force: true });
    throw error;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
    daemon.removeAllListeners();
    if (daemon.connected) daemon.disconnect();
    daemon.unref();
  }
}

/** How many characters of what a daemon said stand in a message. */
const SAID_LIMIT = 500;

/** What the daemon said first, in one line: of a crash, that is its cause. The log itself goes. */
function saidIn(log: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(log, "utf8").trim();
  } catch {
    return undefined;
  }
  return text === "" ? undefined : `It said: ${printable(text.replace(/\s+/g, " ").slice(0, SAID_LIMIT))}`;
}

function failure({ code, message, ...details }: Extract<DaemonMessage, { kind: "failed" }>): Error {
  return code === undefined ? new UserError(message, details.hint) : new ImageError(code, message, details);
}
