// The Debian package made of a small tarball; scripts/package/check installs a real one.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const script = fileURLToPath(new URL("../../scripts/package/deb", import.meta.url));
const available = requireProgram("dpkg-deb");

describe.skipIf(!available)("the Debian package", () => {
  const directory = tempDirectory();
  let tarball: string;
  beforeAll(() => {
    tarball = packSmall(directory, {
      "package.json": '{ "version": "1.2.3" }',
      "README.md": "",
      "CHANGELOG.md": "",
      LICENSE: "MIT\n",
      "dist/NOTICES": "others\n",
      "dist/cli/main.js": "",
      "dist/cli/mount.flatmount": "",
      "dist/man/flatmount.1": ".TH X 1\n",
      "dist/completions/flatmount.bash": "",
      "dist/completions/_flatmount": "",
      "dist/completions/flatmount.fish": "",
      "dist/libfuse/index.js": "",
      "dist/native/linux-x64.node": "GLIBC_2.2.5 GLIBC_2.35 GLIBC_2.4",
      "dist/native/linux-arm64.node": "GLIBC_2.17",
    });
  });

  test.each([
    ["amd64", "2.35"],
    ["arm64", "2.17"],
  ])("%s: what it is and needs", (architecture, glibc) => {
    const deb = makeDeb(architecture);
    expect(deb).toMatch(new RegExp(`/flatmount_1\\.2\\.3_${architecture}\\.deb$`));
    const field = (name: string) => execFileSync("dpkg-deb", ["--field", deb, name], { encoding: "utf8" }).trim();
    expect(field("Package")).toBe("flatmount");
    expect(field("Version")).toBe("1.2.3");
    expect(field("Architecture")).toBe(architecture);
    expect(field("Depends")).toBe(`nodejs (>= 20.19), libc6 (>= ${glibc}), fuse3`);
  });

  test("programs are where they are looked for, all of it root's, and one addon", () => {
    const listing = execFileSync("dpkg-deb", ["--contents", makeDeb("amd64")], { encoding: "utf8" })
      .trim()
      .split("\n");
    expect(listing.filter((line) => !/ root\/root /.test(line))).toEqual([]);
    const links = listing.filter((line) => line.startsWith("l")).map((line) => line.replace(/^.* \.\//, "/"));
    expect(links).toEqual([
      "/usr/bin/flatmount -> ../lib/flatmount/dist/cli/main.js",
      "/usr/sbin/mount.flatmount -> ../lib/flatmount/dist/cli/mount.flatmount",
      "/usr/sbin/mount.fuse.flatmount -> ../lib/flatmount/dist/cli/mount.flatmount",
    ]);
    const addons = listing.filter((line) => line.endsWith(".node")).map((line) => line.replace(/^.* \.\//, "/"));
    expect(addons).toEqual(["/usr/lib/flatmount/dist/native/linux-x64.node"]);
    for (const path of [
      "man/man1/flatmount.1.gz",
      "bash-completion/completions/flatmount",
      "zsh/vendor-completions/_flatmount",
      "fish/vendor_completions.d/flatmount.fish",
    ]) {
      expect(listing.some((line) => line.endsWith(` ./usr/share/${path}`))).toBe(true);
    }
  });

  test("an architecture for which there is no addon is refused", () => {
    const { status, stderr } = spawnSync(script, ["-a", "riscv64", subdirectory(directory), tarball], { encoding: "utf8" });
    expect([status, stderr]).toEqual([1, "flatmount package: no packages are made for riscv64\n"]);
  });

  function makeDeb(architecture: string): string {
    const words = ["-a", architecture, subdirectory(directory), tarball];
    return execFileSync(script, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  }
});

function packSmall(directory: string, files: Readonly<Record<string, string>>): string {
  const home = subdirectory(directory);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(home, "package", name, ".."), { recursive: true });
    writeFileSync(join(home, "package", name), content);
  }
  execFileSync("tar", ["-czf", join(home, "small.tgz"), "-C", home, "package"]);
  return join(home, "small.tgz");
}
