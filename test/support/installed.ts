// The built program where every user may get at it: a checkout may lie in a folder that only its owner may enter.
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Installed {
  readonly node: string;
  /** The script of the command line; missing where nothing has been built. */
  readonly program: string;
}

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** Copies what has been built, with what it needs. The copy is gone when the process ends. */
export function installForAll(): Installed {
  const folder = mkdtempSync(join(tmpdir(), "flatmount-installed-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const packages = withDependencies(["fuse-native"]).map((name) => join("node_modules", name));
  for (const part of ["package.json", "dist", "native-bindings/build/Release/flatmount.node", ...packages]) {
    if (existsSync(join(checkout, part))) cpSync(join(checkout, part), join(folder, part), { recursive: true });
  }
  mkdirSync(join(folder, "bin"));
  const node = join(folder, "bin", "node");
  cpSync(process.execPath, node);
  chmodSync(folder, 0o755);
  return { node, program: join(folder, "dist/cli/main.js") };
}

/** The packages and all that they depend on, as far as it is installed. */
function withDependencies(names: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    const description = join(checkout, "node_modules", name, "package.json");
    if (found.has(name) || !existsSync(description)) return;
    found.add(name);
    const { dependencies = {} } = JSON.parse(readFileSync(description, "utf8")) as { dependencies?: Record<string, string> };
    for (const each of Object.keys(dependencies)) add(each);
  };
  for (const name of names) add(name);
  return [...found];
}
