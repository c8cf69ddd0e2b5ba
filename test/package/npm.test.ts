// What `npm pack` would put into the package; scripts/package/check installs it.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const isBuilt = existsSync(join(checkout, "dist/cli/main.js"));

/** What runs, what tells of it, and nothing else. */
const known = [
  /^package\.json$/,
  /^(?:README|CHANGELOG)\.md$/,
  /^LICENSE$/,
  /^docs\/schemas\/[\w-]+\.schema\.json$/,
  /^dist\/package\.json$/,
  /^dist\/NOTICES$/,
  /^dist\/(?:bundle\/flatmount|cli\/main|(?:daemon)\/main|(?:convert|fuse)\/worker|library\/(?:index|worker))\.js$/,
  /^dist\/cli\/mount\.flatmount$/,
  /^dist\/man\/flatmount(?:-[a-z]+)?\.1$/,
  /^dist\/completions\/(?:flatmount\.(?:bash|fish)|_flatmount)$/,
  /^dist\/types\/.*\.d\.ts$/,
  /^dist\/types\/package\.json$/,
  /^dist\/native\/linux-(?:x64|arm64)\.node$/,
  /^dist\/libfuse\/index\.js$/,
  /^dist\/libfuse\/prebuilds\/linux-x64\/(?:libfuse\.so|node\.napi\.node)$/,
];

interface Manifest {
  readonly name: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies?: object;
  readonly scripts?: Readonly<Record<string, string>>;
}

describe.skipIf(!isBuilt)("the npm package", () => {
  const packed = isBuilt ? pack() : { files: [], size: 0 };
  const names = packed.files.map(({ path }) => path);

  test("has what runs, and nothing else", () => {
    expect(names.filter((name) => !known.some((pattern) => pattern.test(name)))).toEqual([]);
    expect(names).toEqual(expect.arrayContaining(["package.json", "LICENSE", "dist/cli/main.js", "dist/bundle/flatmount.js"]));
    expect(packed.size).toBeLessThan(4 * 2 ** 20);
  });

  test("its command can be started", () => {
    expect(manifest().bin).toEqual({ flatmount: "dist/cli/main.js" });
    expect(packed.files.find(({ path }) => path === "dist/cli/main.js")?.mode).toBe(0o755);
  });

  test("installs nothing else, and runs nothing to be installed", () => {
    const { dependencies = {}, scripts = {} } = manifest();
    expect(dependencies).toEqual({});
    expect(Object.keys(scripts).filter((name) => /^(?:pre|post)?install$|^prepare$/.test(name))).toEqual([]);
  });

  test("needs no other package", () => {
    const scripts = names.filter((name) => /^dist\/.*\.js$/.test(name) && !name.startsWith("dist/libfuse/"));
    for (const name of scripts) {
      const text = readFileSync(join(checkout, name), "utf8");
      const wanted = [...text.matchAll(/\brequire\("([^"./][^"]*)"\)/g)].map(([, module = ""]) => module.replace(/^node:/, ""));
      expect([name, wanted.filter((module) => !builtinModules.includes(module))]).toEqual([name, []]);
    }
  });
});

function pack() {
  // Without scripts: what is built already is looked at, and not built again under other tests.
  const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { status, stdout, stderr } = spawnSync("npm", words, { cwd: checkout, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  const [found] = JSON.parse(stdout) as [{ files: { path: string; mode: number }[]; size: number }];
  return found;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as Manifest;
}
