import type { Session } from "../fuse/transport.js";
import { withCapabilities } from "../native/confinement.js";
import { systemCode } from "../util/errors.js";
import { holdersOf } from "./process.js";

/** Takes the mount away when a signal asks for it. */
export interface Leaver {
  /** The mount stands. A signal that came before is obeyed now. */
  watch(session: Session, mountpoint: string): void;
  /** Signals do again what they do by themselves. */
  stop(): void;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** From now on no signal ends the process in the middle of something: the first unmounts, or says who is in the way; the next detaches all the same. */
export function leaveOnSignal(): Leaver {
  let asked = 0;
  let leave: (() => void) | undefined;

  const onSignal = () => {
    asked += 1;
    leave?.();
  };
  for (const signal of signals) process.on(signal, onSignal);

  return {
    watch(session, mountpoint) {
      leave = () => {
        session.unmount({ detach: asked > 1 }).catch((error: unknown) => explainStaying(mountpoint, error));
      };
      if (asked > 0) leave();
    },
    stop() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

function explainStaying(mountpoint: string, error: unknown): void {
  // Not mounted any more: an earlier signal was obeyed just now.
  if (systemCode(error) === "EINVAL") return;
  if (systemCode(error) !== "EBUSY") {
    console.error(`flatmount: ${mountpoint}: unmounting failed: ${String(error)}`);
    return;
  }
  console.error(`flatmount: ${mountpoint}: in use by ${holdersText(mountpoint)}`);
  console.error("hint: The next signal detaches it all the same.");
}

/** Who uses what is mounted there, for a message. */
export function holdersText(mountpoint: string): string {
  return withCapabilities(() => holdersOf(mountpoint)).join(", ") || "a process that cannot be looked into";
}
