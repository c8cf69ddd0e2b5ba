// Takes mounts away in all the ways in which that happens, and makes them again.
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createRandom } from "./random.mjs";

const run = promisify(execFile);
/** Milliseconds between two changes, on average. */
const PAUSE = 1500;
const BETWEEN_SIGNALS = 500;

/** Goes on until `ended`; gives how many changes there were. */
export async function keepChanging(
  /** @type {import("./mounts.mjs").Mounts} */ mounts,
  /** @type {number} */ seed,
  /** @type {() => boolean} */ ended,
) {
  const random = createRandom(seed);
  const changeable = mounts.list.flatMap(({ stays }, index) => (stays ? [] : [index]));
  let changes = 0;
  while (!ended()) {
    await sleep(random() * 2 * PAUSE);
    const index = changeable[Math.floor(random() * changeable.length)];
    if (index === undefined) continue;
    const pid = () => mounts.list[index]?.pid ?? 0;
    /** @type {Record<string, (each: import("./mounts.mjs").Mount) => Promise<void>>} */
    const ways = {
      unmounted: async ({ mountpoint }) => {
        await mounts.waitForReaders(index);
        await mounts.flatmount(["umount", mountpoint]);
      },
      detached: async ({ mountpoint }) => {
        await run("umount", ["-l", mountpoint]);
      },
      // The first signal is not obeyed where files are open, the second is.
      ended: async () => {
        process.kill(pid(), "SIGTERM");
        await sleep(BETWEEN_SIGNALS);
        if (mounts.isMounted(index)) process.kill(pid(), "SIGTERM");
      },
      killed: async () => void process.kill(pid(), "SIGKILL"),
    };
    const [how, way] = Object.entries(ways)[Math.floor(random() * 4)] ?? [];
    if (how !== undefined && way) await mounts.change(index, how, way);
    changes += 1;
    // What users ask meanwhile.
    await mounts.flatmount(["status", "--json", mounts.list[0]?.mountpoint ?? ""]);
  }
  return changes;
}
