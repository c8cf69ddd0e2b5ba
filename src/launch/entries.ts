/** What the bundle is started for: the program, and what it starts as a process and as a thread. */
const entries = {
  cli: async () => (await import("../cli/run.js")).run(),
  daemon: async () => (await import("../daemon/run.js")).run(),
  worker: async () => (await import("../fuse/serve.js")).waitForTask(),
  copier: async () => (await import("../convert/threads.js")).waitForWork(),
} as const;
export type EntryName = keyof typeof entries;

/** What the bundle exports. */
export interface Bundle {
  run(entry: EntryName): void;
}

export function run(entry: EntryName): void {
  void entries[entry]();
}
