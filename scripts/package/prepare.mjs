// Completes dist for a package: the addon for each architecture that can be built for here, and the fallback that needs none. What npm runs before it packs.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const root = new URL("../..", import.meta.url).pathname;
const modules = join(root, "node_modules");

/** Architectures as Node calls them, with what builds for them on another one. */
const targets = [
  { node: "x64", debian: "amd64", tools: "x86_64-linux-gnu" },
  { node: "arm64", debian: "arm64", tools: "aarch64-linux-gnu" },
];

rmSync(join(root, "dist/native"), { recursive: true, force: true });
mkdirSync(join(root, "dist/native"), { recursive: true });
for (const target of targets) {
  const obstacle = target.node === process.arch ? undefined : obstacleTo(target);
  if (obstacle === undefined) buildAddon(target);
  else console.warn(`flatmount package: no addon for linux-${target.node}: ${obstacle}`);
}
copyFileSync(join(root, "scripts/package/mount.flatmount"), join(root, "dist/cli/mount.flatmount"));
run(process.execPath, [join(root, "scripts/manual.mjs")]);
await copyFallback();
writeNotices(await packagesIn("src/launch/entries.ts"));

/** @param {typeof targets[number]} target */
function obstacleTo({ debian, tools }) {
  if (spawnSync(`${tools}-g++`, ["--version"]).error) return `${tools}-g++ is not installed (apt install g++-${tools})`;
  const { status, stderr } = spawnSync(join(root, "scripts/package/cross-libraries"), [debian], { encoding: "utf8" });
  return status === 0 ? undefined : `its static libraries cannot be had:\n${stderr}`;
}

/** Small, and for old systems too: without what nothing calls, such as a random generator that takes glibc 2.36, and without symbols for debuggers.
 * @param {typeof targets[number]} target */
function buildAddon({ node, debian, tools }) {
  const isForeign = node !== process.arch;
  const folder = `build/package/linux-${node}`;
  const options = [`BUILD=${folder}`, "LDFLAGS=-Wl,--gc-sections"];
  if (isForeign) {
    const libraries = run(join(root, "scripts/package/cross-libraries"), [debian]).trim();
    options[1] += ` -L${libraries}/usr/lib/${tools}`;
    options.push(`CXX=${tools}-g++`, `CXXFLAGS=-O2 -isystem ${libraries}/usr/include`);
  }
  run("make", ["-s", "-C", join(root, "native-bindings"), ...options]);
  const built = join(root, "native-bindings", folder, "flatmount.node");
  run(isForeign ? `${tools}-strip` : "strip", ["--strip-unneeded", "-o", join(root, `dist/native/linux-${node}.node`), built]);
}

/**
 * The package fuse-native, in ours: as a dependency it would have npm run its install script, which wants a compiler wherever libfuse 2 is not installed, and
 * fails the whole installation without one.
 */
async function copyFallback() {
  const outfile = join(root, "dist/libfuse/index.js");
  await build({
    absWorkingDir: root,
    entryPoints: [join(modules, "fuse-native/index.js")],
    outfile,
    bundle: true,
    format: "cjs",
    platform: "node",
    target: "node20.19",
    // The fuse-shared-library of other platforms.
    external: ["fuse-shared-library-darwin", "fuse-shared-library-linux-arm"],
    logLevel: "error",
  });
  for (const file of ["node.napi.node", "libfuse.so"]) {
    const to = join(dirname(outfile), "prebuilds/linux-x64", file);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(join(modules, "fuse-native/prebuilds/linux-x64", file), to);
  }
}

/** The npm packages that are bundled with what is imported from `entry`.
 * @param {string} entry */
async function packagesIn(entry) {
  const { metafile } = await build({
    ...{ absWorkingDir: root, entryPoints: [entry], bundle: true, write: false, metafile: true, outdir: "dist" },
    ...{ format: "cjs", platform: "node", external: ["fuse-native"], logLevel: "error" },
  });
  const inputs = Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(inputs)].sort();
}

/** Licences ask to be told with what they are about.
 * @param {readonly string[]} bundled */
function writeNotices(bundled) {
  const fallback = ["fuse-native", "fuse-shared-library", "fuse-shared-library-linux", "nanoresource", "inherits", "node-gyp-build"];
  const packages = [...bundled, ...fallback.filter((name) => existsSync(join(modules, name)))].map((name) => {
    const { version, license, author } = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));
    const file = readdirSync(join(modules, name)).find((each) => /^licen[cs]e/i.test(each));
    const by = typeof author === "string" ? author : author?.name;
    return section(`${name} ${version} (npm)`, file ? readFileSync(join(modules, name, file), "utf8") : `${license}, by ${by}\n`);
  });
  const libraries = ["libdeflate-dev", "libzstd-dev", "zlib1g-dev", "liblzma-dev"].map((name) => {
    const file = `/usr/share/doc/${name}/copyright`;
    return section(
      `${name.replace(/(1g)?-dev$/, "")}, linked into native/*.node`,
      existsSync(file) ? readFileSync(file, "utf8") : "See its sources.\n",
    );
  });
  const libfuse = section(
    "libfuse/prebuilds/linux-x64/libfuse.so",
    "libfuse 2.9, under the GNU Lesser General Public License, version 2.1, as the npm package fuse-native 2.2.6 distributes it, unchanged.\n" +
      "It can be replaced by another build of libfuse 2. Sources: https://github.com/libfuse/libfuse, releases 2.9.\n",
  );
  writeFileSync(join(root, "dist/NOTICES"), ["What flatmount contains of others.\n", ...packages, ...libraries, libfuse].join("\n"));
}

/** @param {string} title @param {string} text */
function section(title, text) {
  return `${"=".repeat(80)}\n${title}\n${"=".repeat(80)}\n${text}`;
}

/** @param {string} program @param {readonly string[]} words */
function run(program, words) {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${words.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}
