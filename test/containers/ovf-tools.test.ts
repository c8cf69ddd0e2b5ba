// Packages made by other programs: their archives, and the disks in them.
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { openOva, ova } from "../../src/containers/ovf/ova.js";
import { verifyPackage } from "../../src/containers/ovf/verify.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { alone } from "../support/containers.js";
import { noise, text } from "../support/content.js";
import { buildOvf, digestOf, streamOptimized } from "../support/ovf-builder.js";
import { qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";
import { contentOf, listContainer } from "../support/trees.js";

const formats = ["vmdk", "vhd", "vhdx", "qcow2", "vdi", "raw"] as const;
const qemuNames: Readonly<Record<string, string>> = { vhd: "vpc" };
const SIZE = 3 * 2 ** 20;

describe.skipIf(!requireProgram("tar") || !requireProgram("qemu-img"))("archives made by GNU tar", () => {
  const directory = tempDirectory();
  const disk = Buffer.concat([text(1, 2 ** 20), Buffer.alloc(2 ** 20), noise(2, 2 ** 20)]);
  const files = [...formats.map((format) => `disk.${format}`), "packed.vmdk.gz"];

  beforeAll(() => {
    writeFileSync(join(directory, "disk.raw"), disk);
    for (const format of formats) {
      const options = format === "vmdk" ? ["-o", "subformat=streamOptimized"] : format === "vhd" ? ["-o", "force_size=on"] : [];
      const target = join(directory, `disk.${format}`);
      if (format !== "raw")
        qemuImg("convert", "-f", "raw", "-O", qemuNames[format] ?? format, ...options, join(directory, "disk.raw"), target);
    }
    writeFileSync(join(directory, "packed.vmdk.gz"), gzipSync(readFileSync(join(directory, "disk.vmdk"))));
    const descriptor = buildOvf({
      files: files.map((href) => ({ id: `id of ${href}`, href, ...(href.endsWith(".gz") && { compression: "gzip" }) })),
      disks: files.map((href) => ({ id: href, file: `id of ${href}`, capacity: String(SIZE), format: streamOptimized })),
    });
    writeFileSync(join(directory, "vm.ovf"), descriptor);
    const sums = ["vm.ovf", ...files].map((name) => `SHA256(${name})= ${digestOf("sha256", readFileSync(join(directory, name)))}\r\n`);
    writeFileSync(join(directory, "vm.mf"), sums.join(""));
  });

  test.each([
    ["--format=ustar"],
    ["--format=posix"],
    ["--format=gnu"],
    ["--format=oldgnu", "-S"],
    ["--format=posix", "-S"],
    ["--format=v7"],
  ])(
    "%s %s: every disk is the one that was put in, and check finds nothing",
    (...options) => {
      const archive = join(directory, "vm.ova");
      run("tar", ["-cf", archive, ...options, "vm.ovf", "vm.mf", ...files], directory);
      const source = fileSource(openFile(archive, { devices: false }));
      try {
        expect(ova.probe(source)).toBe(true);
        const container = openOva(source, alone);
        expect(container.disks?.map(({ path }) => path)).toEqual(files);
        expect(container.disks?.map(({ name }) => name)).toEqual([...formats.map((format) => `disk.${format}`), "packed"]);
        for (const { path } of container.disks ?? []) {
          const found = contentOf(container, container.list(container.root.id).get(path)?.id ?? 0);
          expect(difference(found, readFileSync(join(directory, path)))).toBeUndefined();
          const copy = join(directory, `copy of ${path}`);
          writeFileSync(copy, path.endsWith(".gz") ? gunzipSync(found) : found);
          expect(difference(flatOf(copy), disk)).toBeUndefined();
        }
        expect(verifyPackage(container.ovf).filter(({ severity }) => severity !== "ok")).toEqual([]);
      } finally {
        source.close();
      }
    },
    20_000,
  );

  test.skipIf(!requireProgram("7z"))("lists what 7-Zip lists", () => {
    const archive = join(directory, "list.ova");
    run("tar", ["-cf", archive, "--format=ustar", "vm.ovf", "vm.mf", ...files], directory);
    const source = fileSource(openFile(archive, { devices: false }));
    const own = [...listContainer(openOva(source, alone), ["size"])].map(([path, { size }]) => `${path} ${size}`);
    source.close();
    const said = run("7z", ["l", "-slt", "-ba", "-ttar", archive]);
    const theirs = [...said.matchAll(/^Path = (.*)$[^]*?^Size = (\d+)$/gm)].map(([, path, size]) => `${path} ${size}`);
    expect(own.toSorted()).toEqual(theirs.toSorted());
  });

  test.each([["--format=gnu"], ["--format=posix"]])("%s, a disk over 8 GiB", (format) => {
    const big = join(directory, "big.img");
    const size = 9 * 2 ** 30 + 512;
    // A hole of 9 GiB, with data at its end.
    const fd = openSync(big, "w");
    ftruncateSync(fd, size);
    writeSync(fd, noise(1, 512), 0, 512, size - 512);
    closeSync(fd);
    writeFileSync(join(directory, "big.ovf"), buildOvf({ files: [{ id: "f", href: "big.img", size }], disks: [{ id: "d", file: "f" }] }));
    const archive = join(directory, "big.ova");
    run("tar", ["-cf", archive, format, "-S", "big.ovf", "big.img", "disk.raw"], directory);
    const source = fileSource(openFile(archive, { devices: false }));
    try {
      expect(ova.probe(source)).toBe(true);
      const container = openOva(source, alone);
      expect(container.disks).toEqual([{ name: "big", path: "big.img" }]);
      const content = container.content(container.list(container.root.id).get("big.img")?.id ?? 0);
      expect(content.size).toBe(size);
      expect(content.map(5 * 2 ** 30, 512)).toMatchObject({ kind: "zero" });
      const end = content.map(size - 512, 512);
      if (end.kind !== "data") throw new Error(end.kind);
      const found = Buffer.alloc(512);
      end.source.read(found, end.position);
      expect(difference(found, noise(1, 512))).toBeUndefined();
    } finally {
      source.close();
    }
  });

  test.each([["--format=oldgnu"], ["--format=gnu"], ["--format=posix"]])(
    "%s, the descriptor behind sparse members, with a long name",
    (format) => {
      const holes = openSync(join(directory, "holes"), "w");
      for (let index = 0; index < 60; index += 1) writeSync(holes, noise(index, 4096), 0, 4096, index * 65_536);
      ftruncateSync(holes, 9 * 2 ** 30);
      closeSync(holes);
      const name = `${"n".repeat(150)}.ovf`;
      writeFileSync(join(directory, name), buildOvf({ files: [{ id: "f", href: "holes" }], disks: [{ id: "d", file: "f" }] }));
      const archive = join(directory, "late.ova");
      run("tar", ["-cf", archive, format, "-S", "holes", name], directory);
      const source = fileSource(openFile(archive, { devices: false }));
      try {
        expect(ova.probe(source)).toBe(true);
        expect(openOva(source, alone).disks).toEqual([{ name: "holes", path: "holes" }]);
      } finally {
        source.close();
      }
    },
  );
});
