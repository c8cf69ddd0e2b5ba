import { defineConfig } from "vitest/config";

export default defineConfig({
  root: new URL("../..", import.meta.url).pathname,
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/open-fuse.ts", "test/support/own-cache.ts"],
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Mounts, loop devices and benchmark-like reads get in each other's way on a small machine.
    maxWorkers: 2,
  },
});
