// Bundles the set and its runner, and starts it. Started by scripts/malformed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const root = new URL("../..", import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), "flatmount-malformed-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

const file = join(work, "run.mjs");
await build({
  absWorkingDir: root,
  entryPoints: ["test/malformed/run.ts"],
  bundle: true,
  outfile: file,
  format: "esm",
  platform: "node",
  target: "node20.19",
  external: ["vitest"],
});
const { status } = spawnSync(process.execPath, [file, ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, FLATMOUNT_ROOT: root, FLATMOUNT_MALFORMED: work },
});
process.exitCode = status ?? 1;
