// Builds dist from src. Bundled, and as CommonJS, because the time that a command takes is mostly the time in which Node finds, links and compiles its modules.
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;

rmSync(`${root}dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  outdir: "dist",
  // Two folders deep, as in src: paths relative to a module lead to the same place.
  entryPoints: {
    "cli/main": "src/launch/cli.ts",
    "daemon/main": "src/launch/daemon.ts",
    "fuse/worker": "src/launch/worker.ts",
    "convert/worker": "src/launch/copier.ts",
    "bundle/flatmount": "src/launch/entries.ts",
    // What programs import, and the threads that it starts.
    "library/index": "src/library/index.ts",
    "library/worker": "src/library/worker.ts",
  },
  bundle: true,
  format: "cjs",
  platform: "node",
  target: "node20.19",
  // It has native parts beside its script.
  external: ["fuse-native"],
  define: { "import.meta.url": "moduleUrl" },
  banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  logOverride: { "empty-import-meta": "error" },
});
writeFileSync(`${root}dist/package.json`, '{ "type": "commonjs" }\n');
chmodSync(`${root}dist/cli/main.js`, 0o755);
