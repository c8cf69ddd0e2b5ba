// Writes manual pages and completions, made from the commands' declarations: node scripts/manual.mjs [FOLDER]; dist by default.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const folder = resolve(process.argv[2] ?? join(root, "dist"));
const work = mkdtempSync(join(tmpdir(), "flatmount-manual-"));
try {
  const outfile = join(work, "files.cjs");
  await build({
    ...{ absWorkingDir: root, entryPoints: ["src/cli/manual/files.ts"], outfile, bundle: true, format: "cjs", platform: "node" },
    ...{ external: ["fuse-native"], define: { "import.meta.url": "moduleUrl" }, logLevel: "error" },
    banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const files = await createRequire(import.meta.url)(outfile).documentationFiles(version, new Date().toISOString().slice(0, 10));
  for (const [path, content] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
