// Builds dist from src. Bundled, because the time that a command takes is mostly the time in which Node finds and links its modules.
import { chmodSync, rmSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  // The program, and what it starts as a process and as a thread.
  entryPoints: ["src/cli/main.ts", "src/daemon/main.ts", "src/fuse/worker.ts"],
  outdir: "dist",
  outbase: "src",
  // Two folders deep, as in src: paths relative to a module lead to the same place.
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  // It has native parts beside its script.
  external: ["fuse-native"],
  // Dependencies that are CommonJS ask for Node's modules with `require`.
  banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
});
chmodSync(`${root}dist/cli/main.js`, 0o755);
