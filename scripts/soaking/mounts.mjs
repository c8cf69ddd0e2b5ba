// The mounts, their daemons, and in which state they are: readers in other threads look at `states`.
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const cli = join(import.meta.dirname, "../../dist/cli/main.js");
const run = promisify(execFile);
/** Milliseconds after which a command hangs. */
const PATIENCE = 60_000;

/** @typedef {import("./images.mjs").Soaked & { readonly mountpoint: string, pid: number | undefined }} Mount */

/** Numbers of a mount in `states`: odd while it is taken away, one more with each change; and how many readers have files of it open. */
export const STATE = { generation: 0, readers: 1, count: 2 };

export function createMounts(/** @type {string} */ folder, /** @type {readonly import("./images.mjs").Soaked[]} */ soaked) {
  /** @type {readonly Mount[]} */
  const list = soaked.map((each, index) => ({ ...each, mountpoint: join(folder, `mount-${index}`), pid: undefined }));
  const states = new Int32Array(new SharedArrayBuffer(4 * STATE.count * list.length));
  /** @type {string[]} */
  const problems = [];
  const environment = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };

  const flatmount = (/** @type {readonly string[]} */ options) =>
    run(process.execPath, [cli, ...options], { timeout: PATIENCE, env: environment });

  /** @returns {Promise<readonly { pid: number, mountpoint: string }[]>} */
  const listed = async () => JSON.parse((await flatmount(["list", "--json"])).stdout);

  async function mount(/** @type {Mount} */ each) {
    mkdirSync(each.mountpoint, { recursive: true });
    await flatmount([...each.options, each.image, each.mountpoint]);
    each.pid = (await listed()).find(({ mountpoint }) => mountpoint === each.mountpoint)?.pid;
    if (each.pid === undefined) problems.push(`${each.name}: it is mounted and not listed`);
  }

  /** Takes a mount away, and makes it again. `how`: what becomes of it. */
  async function change(/** @type {number} */ index, /** @type {string} */ how, /** @type {(each: Mount) => Promise<void>} */ takeAway) {
    const each = /** @type {Mount} */ (list[index]);
    Atomics.add(states, STATE.count * index + STATE.generation, 1);
    try {
      await takeAway(each);
      await waitFor(() => !isMounted(each.mountpoint));
      await mount(each);
    } catch (error) {
      problems.push(`${each.name}, being ${how}: ${error instanceof Error ? error.message.trim() : String(error)}`);
    } finally {
      Atomics.add(states, STATE.count * index + STATE.generation, 1);
    }
  }

  /** Waits until no reader has a file of it open. */
  const waitForReaders = (/** @type {number} */ index) => waitFor(() => Atomics.load(states, STATE.count * index + STATE.readers) === 0);

  return {
    list,
    states,
    problems: () => problems,
    flatmount,
    change,
    waitForReaders,
    isMounted: (/** @type {number} */ index) => isMounted(list[index]?.mountpoint ?? ""),
    async mountAll() {
      for (const each of list) await mount(each);
    },
    async unmountAll() {
      for (const each of list) if (isMounted(each.mountpoint)) await flatmount(["umount", each.mountpoint]);
    },
    /** What is left when all was unmounted. @returns {Promise<string[]>} */
    async leftovers() {
      const pids = list.flatMap(({ pid }) => pid ?? []);
      const gone = await waitFor(() => pids.every((pid) => !readdirSync("/proc").includes(String(pid)))).then(
        () => true,
        () => false,
      );
      const mounted = list.filter(({ mountpoint }) => isMounted(mountpoint)).map(({ name }) => `${name}: it is still mounted`);
      return gone ? mounted : [...mounted, "a daemon is left"];
    },
  };
}

/** @typedef {ReturnType<typeof createMounts>} Mounts */

function isMounted(/** @type {string} */ mountpoint) {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[1] === mountpoint);
}

/** Throws when `holds` does not come true. */
async function waitFor(/** @type {() => boolean} */ holds) {
  const end = Date.now() + PATIENCE;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`it hangs: nothing happens for ${PATIENCE / 1000} s`);
    await sleep(20);
  }
}
