// Images that name files of the machine they are opened on. Each would put what is in them into the disk, for whoever reads that.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ImageError } from "../../src/util/errors.js";
import { explain } from "../../src/util/explain.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { refusalOf } from "../support/reading.js";
import { descriptor } from "../support/vmdk-descriptor-builder.js";

const SIZE = 64 * 1024;
const { write } = builtDisks();

/** A secret outside of the image's folder. It has the size of the disk, so that nothing but its place stands against it. */
function secret(): string {
  const folder = dirname(write({ key: noise(1, SIZE) }));
  return join(folder, "key");
}

/** The whole of what the user sees of a refusal: one line, which says what was not opened. */
function expectRefused(error: ImageError, code: string, words: RegExp): void {
  expect(error.code).toBe(code);
  expect(explain(error)).toMatch(words);
  expect(explain(error)).not.toContain("\n");
}

const outside = /is outside the folder of the image, so it was not opened/;

describe("CVE-2024-32498: an external data file of a qcow2 would show any file the daemon can read as the disk", () => {
  const naming = (dataFile: string) => write({ "a.qcow2": { size: SIZE, clusters: new Map(), dataFile, autoclear: 2n } });

  test.each(["/etc/shadow", "../../../../../../../../etc/shadow", "/proc/self/environ", "/dev/zero", "/proc/self/fd/0"])("%s", (name) => {
    expectRefused(refusalOf(naming(name)), "PART_DENIED", outside);
  });

  test("a file of the right size", () => {
    const path = secret();
    expectRefused(refusalOf(naming(path)), "PART_DENIED", outside);
    expect(refusalOf(naming(path)).hint).toBe(`If you trust the image, add --allow ${dirname(path)}`);
  });

  test("by a link beside the image, which a tarball brings along", () => {
    const image = naming("data.raw");
    symlinkSync(secret(), join(dirname(image), "data.raw"));
    expectRefused(refusalOf(image), "PART_DENIED", outside);
  });

  test("by a linked folder beside the image", () => {
    const image = naming("sub/key");
    symlinkSync(dirname(secret()), join(dirname(image), "sub"));
    expectRefused(refusalOf(image), "PART_DENIED", outside);
  });

  test("of the image that the image is a difference to", () => {
    const image = write({
      "top.qcow2": { size: SIZE, clusters: new Map(), backing: { name: "base.qcow2", format: "qcow2" } },
      "base.qcow2": { size: SIZE, clusters: new Map(), dataFile: secret(), autoclear: 2n },
    });
    expectRefused(refusalOf(image), "PART_DENIED", outside);
  });
});

describe("CVE-2024-4467: a json: name in a qcow2 would have any file read by any of QEMU's drivers", () => {
  const json = (value: unknown) => `json:${JSON.stringify(value)}`;
  interface Way {
    readonly name: (file: string) => string;
    readonly backing?: readonly [code: string, words: RegExp];
    readonly data?: readonly [code: string, words: RegExp];
  }
  const denied = ["PART_DENIED", outside] as const;
  const option = ["UNSUPPORTED", /only local files can be opened, and this has the option/] as const;
  const formats = ["CORRUPT", /declared as "raw", and as/] as const;
  const ways: Readonly<Record<string, Way>> = {
    "the nested form": { name: (file) => json({ driver: "raw", file: { driver: "file", filename: file } }) },
    "the dotted form": { name: (file) => json({ driver: "raw", "file.driver": "file", "file.filename": file }) },
    "the protocol alone": { name: (file) => json({ driver: "file", filename: file }) },
    "a host device": { name: (file) => json({ driver: "host_device", filename: file }), backing: formats },
    "drivers in drivers": {
      name: (file) => json({ driver: "qcow2", file: { driver: "raw", file: { driver: "file", filename: file } } }),
      backing: formats,
    },
    "another name with a protocol in it": {
      name: (file) => json({ driver: "file", filename: `file:${file}` }),
      backing: ["PART_MISSING", /is missing/],
      data: ["PART_MISSING", /is missing/],
    },
    "the data file of another image": {
      name: (file) =>
        json({ driver: "qcow2", file: { driver: "file", filename: "a.qcow2" }, "data-file": { driver: "file", filename: file } }),
      backing: option,
      data: option,
    },
    "a server on the network": {
      name: () => json({ driver: "raw", file: { driver: "nbd", host: "attacker.example", port: "10809" } }),
      backing: option,
      data: option,
    },
  };

  test.each(Object.entries(ways))("as a data file: %s", (_, { name, data = denied }) => {
    const image = write({ "a.qcow2": { size: SIZE, clusters: new Map(), dataFile: name(secret()), autoclear: 2n } });
    expectRefused(refusalOf(image), ...data);
  });

  test.each(Object.entries(ways))("as a backing file: %s", (_, { name, backing = denied }) => {
    const image = write({ "a.qcow2": { size: SIZE, clusters: new Map(), backing: { name: name(secret()), format: "raw" } } });
    expectRefused(refusalOf(image), ...backing);
  });
});

describe("CVE-2022-47951: a VMDK descriptor would show any file the daemon can read as an extent", () => {
  const flat = (name: string) => descriptor({ createType: "monolithicFlat", lines: [`RW ${SIZE / 512} FLAT "${name}" 0`] });

  test.each(["/etc/shadow", "../../../../../../../../etc/shadow", "/proc/self/environ"])("FLAT %s", (name) => {
    expectRefused(refusalOf(write({ "a.vmdk": flat(name) })), "PART_DENIED", outside);
  });

  test.each(["FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE"])("a file of the right size: %s", (type) => {
    const position = type === "FLAT" ? " 0" : "";
    const text = descriptor({ lines: [`RW ${SIZE / 512} ${type} "${secret()}"${position}`] });
    expectRefused(refusalOf(write({ "a.vmdk": text })), "PART_DENIED", outside);
  });

  test.each(["VMFSRDM", "VMFSRAW"])("a device: %s", (type) => {
    const text = descriptor({ lines: [`RW ${SIZE / 512} ${type} "/dev/zero"`] });
    expectRefused(refusalOf(write({ "a.vmdk": text })), "UNSUPPORTED", /./);
  });

  test("a device that is called a file", () => {
    expectRefused(refusalOf(write({ "a.vmdk": flat("/dev/zero") })), "UNSUPPORTED", /./);
  });

  test("a datastore's name that climbs", () => {
    const path = secret();
    const image = write({ "vm/a.vmdk": flat(`[store] ../${dirname(path).split("/").at(-1)}/key`) });
    expect(["PART_DENIED", "PART_MISSING"]).toContain(refusalOf(image).code);
  });

  test("backslashes that climb", () => {
    const path = secret();
    expectRefused(refusalOf(write({ "a.vmdk": flat(`..\\${dirname(path).split("/").at(-1)}\\key`) })), "PART_DENIED", outside);
  });

  test("by a link beside the descriptor", () => {
    const image = write({ "a.vmdk": flat("a-flat.vmdk") });
    symlinkSync("/etc/shadow", join(dirname(image), "a-flat.vmdk"));
    expectRefused(refusalOf(image), "PART_DENIED", outside);
  });

  test("a folder that is there, and up again from it", () => {
    const image = write({ "a.vmdk": flat("folder/../../key") });
    mkdirSync(join(dirname(image), "folder"));
    writeFileSync(join(dirname(dirname(image)), "key"), noise(2, SIZE));
    expectRefused(refusalOf(image), "PART_DENIED", outside);
  });
});
