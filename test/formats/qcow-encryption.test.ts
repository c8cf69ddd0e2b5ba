// Encrypted images of qcow version 1, written by QEMU and by the builder, and read by us and by QEMU.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { FormatDriver } from "../../src/formats/driver.js";
import { qcow } from "../../src/formats/qcow/index.js";
import { activity } from "../support/activity.js";
import { mixed, noise, text } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { aesSectors } from "../support/encrypted-qcow2.js";
import { buildQcow, type QcowShape } from "../support/qcow-builder.js";
import { requireProgram, type Step } from "../support/qemu.js";
import { changeEncrypted, createEncrypted, type EncryptedFile, flatEncrypted } from "../support/qemu-encryption.js";
import { difference, flatOf, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const qemu = requireProgram("qemu-img") && requireProgram("qemu-io");
const SECRET = "a password of more than 16 letters";
const directory = tempDirectory();

/** The builder's image, with its plain clusters encrypted. */
function sealed(shape: QcowShape, password = SECRET): { readonly image: Buffer; readonly disk: Buffer } {
  const { image, disk, dataPosition } = buildQcow({ ...shape, cryptMethod: 1 });
  const size = 2 ** (shape.clusterBits ?? 9);
  for (const [number, slot] of shape.clusters.entries()) {
    if (typeof slot !== "number") continue;
    const cluster = image.subarray(dataPosition + slot * size, dataPosition + (slot + 1) * size);
    aesSectors(cluster, (number * size) / 512, password).copy(cluster);
  }
  return { image, disk };
}

function sample(name: string, shape: QcowShape): Sample {
  const { backing } = shape;
  return { name, ...sealed(shape), ...(backing && { parts: { [backing.name]: backing.disk } }) };
}

const file = (path: string): EncryptedFile => ({ path, format: "qcow", password: SECRET });

function write(image: Uint8Array): string {
  const path = join(subdirectory(directory), "disk.qcow");
  writeFileSync(path, image);
  return path;
}

/** The driver as a user with the password gets it. */
const withSecret: FormatDriver = {
  ...qcow,
  open: (source, opener, options) => qcow.open(source, opener, { ...options, passwords: [SECRET] }),
};

describeDriver(withSecret, [
  sample("clusters out of order", { clusters: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  sample("clusters in order", { clusters: [0, 1, 2, 3, 4, 5] }),
  sample("compressed clusters, which are not encrypted", { clusters: ["packed", 1, 0, "packed", "absent", 2], clusterBits: 12 }),
  sample("clusters of 64 KiB", { clusters: [1, "packed", "absent", 0], clusterBits: 16, l2Bits: 13 }),
  sample("a last cluster that the disk does not fill", { clusters: [1, 0, "packed"], size: 2 * 512 + 77 }),
  sample("over a raw image that ends before", {
    clusters: ["absent", 0, "absent", "packed", "absent"],
    backing: { name: "base.img", disk: noise(5, 700) },
  }),
]);

describe.skipIf(!qemu)("encrypted qcow images and QEMU", () => {
  test.each<{ name: string; shape: QcowShape }>([
    { name: "out of order", shape: { clusters: [3, 0, "absent", 1, "absent", "absent", 2, 4], clusterBits: 12 } },
    { name: "clusters of 512 bytes", shape: { clusters: [3, 0, "absent", 1, "absent", 4, 5, 6, 2] } },
    { name: "clusters of 64 KiB", shape: { clusters: [1, "packed", "absent", 0], clusterBits: 16, l2Bits: 13 } },
  ])("the builder's images are what QEMU takes them for: $name", ({ shape }) => {
    const { image, disk } = sealed(shape);
    const path = write(image);
    expect(difference(flatEncrypted(file(path)), disk)).toBeUndefined();
    expect(difference(flatOf(path, { passwords: [SECRET] }), disk)).toBeUndefined();
  });

  const size = 500 * 1024 + 512;

  test("written by QEMU, compressed clusters among them", () => {
    const path = join(subdirectory(directory), "disk.qcow");
    createEncrypted(file(path), size, { "encrypt.format": "aes" });
    const packed: readonly Step[] = [0, 3, 9].map((cluster) => ({ kind: "packed", at: cluster * 4096, content: text(cluster, 4096) }));
    changeEncrypted(file(path), [...packed, ...activity({ size, clusterSize: 4096, seed: 1, steps: 20 })]);
    expect(difference(flatOf(path, { passwords: [SECRET] }), flatEncrypted(file(path)))).toBeUndefined();
  });

  test("written by QEMU over a backing file", () => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "base.bin"), mixed(2, size));
    const path = join(home, "disk.qcow");
    createEncrypted(file(path), size, { "encrypt.format": "aes" }, ["-b", "base.bin", "-F", "raw"]);
    changeEncrypted(file(path), activity({ size, clusterSize: 512, seed: 3 }));
    expect(difference(flatOf(path, { passwords: [SECRET] }), flatEncrypted(file(path)))).toBeUndefined();
  });
});

describe("the password of an encrypted qcow image", () => {
  const orderly = (): string => {
    const { image } = sealed({ clusters: [0, 1], clusterBits: 12 });
    const dataPosition = image.length - 2 * 4096;
    aesSectors(text(1, 8192), 0, SECRET).copy(image, dataPosition);
    return write(image);
  };

  test("none is given", () => {
    const error = refusalOf(orderly());
    expect(error).toMatchObject({ code: "KEY_NEEDED", position: 36, message: expect.stringContaining("no password was given") as string });
    expect(error.hint).toContain("--password-file FILE");
  });

  test("whether it is right is not known, and said", () => {
    const notesOf = (password: string) => withDisk(orderly(), { passwords: [password] }, (layer) => layer.facts());
    expect(notesOf(SECRET)).toMatchObject({
      details: { encryption: "AES (legacy), aes-128-cbc-plain64" },
      notes: ["Nothing in it tells whether the password is the right one: with a wrong one it reads as noise."],
    });
    expect(notesOf("wrong").notes[1]).toContain("the password may be wrong");
  });

  test("of several the one is taken that makes sense", () => {
    expect(difference(flatOf(orderly(), { passwords: ["wrong", "worse", SECRET] }), text(1, 8192))).toBeUndefined();
  });
});

test("small clusters that follow each other are decrypted together, up to 64 KiB", () => {
  const { image, disk } = sealed({ clusters: Array.from({ length: 300 }, (_, index) => index), l2Bits: 9 });
  withDisk(write(image), { passwords: [SECRET] }, (layer) => {
    const extent = layer.map(100, 140_000);
    expect(extent).toMatchObject({ kind: "packed", length: 65_436, skip: 100, block: { size: 65_536 } });
    expect(layer.map(1000, 30)).toMatchObject({ kind: "packed", length: 30, skip: 488, block: { size: 1024 } });
    expect(difference(readRange(layer, 100, 140_000), disk.subarray(100, 140_100))).toBeUndefined();
  });
});
