import type { Session } from "../fuse/transport.js";
import { debug } from "../util/debug.js";
import { systemCode } from "../util/errors.js";

const log = debug("idle");

/** Milliseconds between two looks: a tenth of the timeout, within these bounds. */
const LOOK = { least: 50, most: 5000 } as const;

export interface IdleWatch {
  stop(): void;
}

/** Takes the mount away once nobody has used it for `timeout` milliseconds. What is open, or somebody's current folder, is in use. */
export function watchIdle(session: Session, activity: Int32Array, timeout: number): IdleWatch {
  let since = performance.now();
  /** Whether the kernel has been asked to remember if anybody comes near. */
  let marked = false;

  const use = (): void => {
    since = performance.now();
    marked = false;
  };

  async function look(): Promise<void> {
    if (activity[0] !== 0) {
      activity[0] = 0;
      use();
      return;
    }
    const isOver = performance.now() - since >= timeout;
    try {
      if (!session.expire) {
        // Before the attempt: the next one is not made while this one lasts.
        if (isOver) since = performance.now();
        if (isOver) await session.unmount({ detach: false });
      } else if (isOver || !marked) {
        if (session.expire()) return;
        // Whoever read what the kernel had kept was not seen here: from now on nobody did.
        use();
        marked = true;
      }
    } catch (error) {
      if (systemCode(error) !== "EBUSY") log("%o", error);
      use();
    }
  }

  const timer = setInterval(() => void look(), Math.min(Math.max(timeout / 10, LOOK.least), LOOK.most));
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
