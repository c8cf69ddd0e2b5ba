import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { node, program } from "../support/mount.js";
import { inTempDirectory } from "../support/temp.js";

test("a daemon that dies while it mounts: what it said is told, and nothing stays", () => {
  inTempDirectory((home) => {
    const image = join(home, "disk.raw");
    writeFileSync(image, Buffer.alloc(4096, 1));
    // Loaded by every process, for the daemon alone.
    const script = join(home, "die.cjs");
    writeFileSync(
      script,
      `if (process.argv[1]?.endsWith("daemon/main.js")) process.once("message", () => { console.error("out of\\nluck"); process.abort(); });`,
    );
    const { status, stderr } = spawnSync(node, [program, "mount", image, join(home, "mnt")], {
      encoding: "utf8",
      env: { ...process.env, XDG_RUNTIME_DIR: home, NODE_OPTIONS: `--require ${script}` },
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^flatmount: the daemon ended \(SIGABRT\) before the mount was ready\nhint: It said: out of luck/);
    expect(stderr.trim().split("\n")).toHaveLength(2);
    expect(readdirSync(home).sort()).toEqual(["die.cjs", "disk.raw", "flatmount"]);
    expect(readdirSync(join(home, "flatmount"))).toEqual([]);
  });
});
