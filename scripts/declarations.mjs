// Writes dist/types: the declarations of what the package's entry reaches, and of nothing else.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";

const root = new URL("..", import.meta.url).pathname;
const out = join(root, "dist/types");
const entry = join(root, "src/library/index.ts");

const config = ts.getParsedCommandLineOfConfigFile(join(root, "scripts/config/tsconfig.types.json"), undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: fail,
});
if (!config) throw new Error("no configuration");
const program = ts.createProgram(config.fileNames, config.options);

rmSync(out, { recursive: true, force: true });
const waiting = [entry];
const seen = new Set(waiting);
for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
  const source = program.getSourceFile(path);
  const { diagnostics } = program.emit(
    source,
    (file, text) => {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      for (const next of importsOf(text, /** @type {string} */ (path))) {
        if (seen.has(next)) continue;
        seen.add(next);
        waiting.push(next);
      }
    },
    undefined,
    true,
  );
  for (const diagnostic of diagnostics) fail(diagnostic);
}
// Its package.json makes them what the bundles are: CommonJS.
writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n');
console.log(`dist/types: ${seen.size} declarations, from ${relative(root, entry)} on`);

/** The files of ours that declarations speak of. @param {string} text @param {string} path */
function importsOf(text, path) {
  return ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((name) => name.startsWith("."))
    .map((name) => join(dirname(path), name.replace(/\.js$/, ".ts")));
}

/** @param {ts.Diagnostic} diagnostic @returns {never} */
function fail(diagnostic) {
  throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n"));
}
