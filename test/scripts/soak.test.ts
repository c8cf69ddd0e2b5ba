// A few seconds of what scripts/soak does for half an hour.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireProgram } from "../support/qemu.js";

const script = join(import.meta.dirname, "../../scripts/soak");
const possible = existsSync("/dev/fuse") && ["qemu-img", "xorriso"].every((name) => requireProgram(name));

test.skipIf(!possible)("mounts under load show what they are made of, and nothing is left of them", { timeout: 120_000 }, () => {
  const { status, stdout, stderr } = spawnSync(script, ["--time", "4", "--readers", "8"], { encoding: "utf8" });
  expect(stderr.split("\n").slice(1).join("\n")).toBe("");
  expect(stdout).toMatch(/^[1-9]\d* reads, .*; 0 problems\n$/);
  expect(status).toBe(0);
});
