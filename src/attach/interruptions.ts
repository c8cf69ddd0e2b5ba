import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../util/errors.js";

/** Signals that came while something was made step by step. */
export interface Interruptions {
  /** Lets signals in, and throws if one came. */
  check(): Promise<void>;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Does `make`; a signal meanwhile ends it between two steps, so that what was made can be undone. A signal after the last step comes too late: what was made
 * stands, and the command ends as it would have, telling of it.
 */
export async function interruptible<T>(make: (interruptions: Interruptions) => Promise<T>): Promise<T> {
  let came: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    came ??= signal;
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await make({
      async check() {
        await sleep(1);
        if (came) throw new UserError(`stopped by ${came}; nothing is attached`);
      },
    });
  } catch (error) {
    for (const signal of signals) process.off(signal, onSignal);
    throw error;
  }
}
