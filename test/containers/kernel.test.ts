import { crc32, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { kernel } from "../../src/containers/kernel/index.js";
import { memorySource } from "../../src/source/memory.js";
import { unpacking } from "../support/containers.js";
import { noise, text } from "../support/content.js";
import { contentOf } from "../support/trees.js";

/** A bzImage from the boot protocol alone: setup sectors, then code with the payload in it. */
function bzImage(payload: Uint8Array, { protocol = 0x20f, setup = 3, version = "6.1.0-test (x@y) #1 SMP" } = {}): Buffer {
  const start = (setup + 1) * 512;
  const image = Buffer.concat([Buffer.alloc(start + 1000), payload, Buffer.alloc(300, 0x90)]);
  image[0x1f1] = setup;
  image.writeUInt16LE(0xaa55, 0x1fe);
  image.write("HdrS", 0x202);
  image.writeUInt16LE(protocol, 0x206);
  image.writeUInt16LE(0x400, 0x20e);
  image.write(`${version}\0`, 0x600);
  image[0x211] = 1;
  image[0x234] = 1;
  image.writeUInt16LE(1, 0x236);
  image.writeUInt32LE(1000, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  return image;
}

function opened(content: Uint8Array) {
  return kernel.open(memorySource("vmlinuz", content), unpacking());
}

/** An ELF of 64 bits with one loaded segment, and an interpreter if it is a program for people. */
function elf(address: bigint, { interpreter = false, machine = 62 } = {}): Buffer {
  const file = Buffer.alloc(4096);
  file.write("\x7fELF\x02\x01\x01", "latin1");
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(machine, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(interpreter ? 2 : 1, 56);
  file.writeUInt32LE(1, 64);
  file.writeBigUInt64LE(address, 64 + 16);
  if (interpreter) file.writeUInt32LE(3, 120);
  return file;
}

describe("kernels", () => {
  const inner = text(5, 300_000);

  test("bzImage: what it says, and what it unpacks", () => {
    const image = bzImage(gzipSync(inner));
    expect(kernel.probe(memorySource("x", image))).toBe(true);
    const container = opened(image);
    const { variant, details, notes } = container.facts();
    expect(variant).toBe("x86 bzImage, boot protocol 2.15");
    expect(details).toEqual({
      version: "6.1.0-test (x@y) #1 SMP",
      relocatable: true,
      "64-bit entry": true,
      "EFI stub": false,
      "unpacked size": inner.length,
    });
    expect(notes).toEqual([]);
    const file = container.list(container.root.id).get("vmlinux");
    expect(contentOf(container, file?.id ?? 0).equals(inner)).toBe(true);
    container.close?.();
  });

  test("a payload that is cut or of another kind is told, and the rest is there", () => {
    const packed = gzipSync(inner);
    expect(
      opened(bzImage(packed.subarray(0, 900)))
        .facts()
        .notes.join(),
    ).toMatch(/cannot be unpacked/);
    const other = opened(bzImage(noise(1, 5000)));
    expect([...other.list(other.root.id)]).toEqual([]);
    expect(other.facts().details).toMatchObject({ version: "6.1.0-test (x@y) #1 SMP" });
  });

  test.each([
    ["ELF, x86-64", elf(0xffffffff81000000n)],
    ["ELF, ARM64", elf(0xffff800010000000n, { machine: 183 })],
  ])("%s", (variant, content) => {
    expect(opened(content).facts().variant).toBe(variant);
  });

  test("other headers", () => {
    const arm64 = Buffer.alloc(4096);
    arm64.write("ARM\x64", 56, "latin1");
    expect(opened(arm64).facts().variant).toBe("ARM64 Image");
    const arm = Buffer.alloc(4096);
    arm.writeUInt32LE(0x016f2818, 0x24);
    expect(opened(arm).facts().variant).toBe("ARM zImage");
    const packed = gzipSync(inner);
    const uImage = Buffer.concat([Buffer.alloc(64), packed]);
    uImage.writeUInt32BE(0x27051956, 0);
    uImage.writeUInt32BE(packed.length, 12);
    uImage[30] = 2;
    uImage[31] = 1;
    uImage.write("Linux-5.4", 32);
    const container = opened(uImage);
    expect(container.facts()).toMatchObject({ variant: "uImage", details: { name: "Linux-5.4", compression: "gzip" } });
    expect(contentOf(container, 2).equals(inner)).toBe(true);
  });

  test("the version, from where the kernel keeps it, at whatever place", () => {
    const banner = "Linux version 6.1.0-test (me@here) (gcc 12) #1 SMP";
    for (const at of [3000, 2 ** 20 - 20, 2 ** 20 - 14, 2 ** 20]) {
      const content = Buffer.concat([elf(0xffffffff81000000n), Buffer.alloc(2 ** 20)]);
      content.write("Linux version %s\n\0", 200);
      content.write(`${banner}\n\0`, at);
      expect(opened(content).facts().details["version"]).toBe(banner.slice("Linux version ".length));
      expect(opened(bzImage(gzipSync(content), { version: "" })).facts().details["version"]).toBe(banner.slice("Linux version ".length));
    }
  });

  test("programs that boot loaders or Xen know by marks in them", () => {
    const multiboot = elf(0x100000n);
    [0x1badb002, 3, 2 ** 32 - 0x1badb002 - 3].forEach((word, index) => multiboot.writeUInt32LE(word, 4084 + 4 * index));
    expect(opened(multiboot).facts()).toMatchObject({ variant: "ELF, x86-64", details: { "started by": "Multiboot" } });
    const second = elf(0x100000n);
    [0xe85250d6, 0, 16, 2 ** 32 - 0xe85250d6 - 16].forEach((word, index) => second.writeUInt32LE(word, 1024 + 4 * index));
    expect(opened(second).facts().details).toMatchObject({ "started by": "Multiboot2" });
    const xen = elf(0n);
    xen.writeUInt16LE(2, 56);
    xen.writeUInt32LE(4, 120);
    xen.writeBigUInt64LE(2000n, 128);
    xen.writeBigUInt64LE(24n, 120 + 32);
    [4, 4, 6].forEach((word, index) => xen.writeUInt32LE(word, 2000 + 4 * index));
    xen.write("Xen\0", 2012, "latin1");
    expect(opened(xen).facts().details).toMatchObject({ "started by": "Xen" });
    multiboot.writeUInt32LE(0, 4092);
    expect(kernel.probe(memorySource("x", multiboot))).toBe(false);
  });

  test("the sums of a uImage are compared by a check", () => {
    const packed = gzipSync(inner);
    const image = Buffer.concat([Buffer.alloc(64), packed]);
    image.writeUInt32BE(0x27051956, 0);
    image.writeUInt32BE(packed.length, 12);
    image.writeUInt32BE(crc32(packed), 24);
    image[30] = 2;
    image[31] = 1;
    image.writeUInt32BE(crc32(image.subarray(0, 64)), 4);
    const check = (content: Uint8Array) => opened(content).check?.(() => undefined);
    expect(check(image)).toEqual([]);
    const changed = (at: number) => {
      const content = Buffer.from(image);
      content[at] = (content[at] ?? 0) ^ 1;
      return content;
    };
    expect(check(changed(40))).toMatchObject([{ file: "header", severity: "error" }]);
    expect(check(changed(image.length - 3))).toMatchObject([{ file: "data", severity: "error" }]);
    expect(check(image.subarray(0, image.length - 9))).toMatchObject([{ file: "data", message: expect.stringMatching(/cut/) }]);
  });

  test("programs for people, boot sectors and noise are none", () => {
    const bootSector = Buffer.alloc(4096);
    bootSector.writeUInt16LE(0xaa55, 0x1fe);
    for (const content of [elf(0x400000n), elf(0xffffffff81000000n, { interpreter: true }), bootSector, noise(1, 4096), Buffer.alloc(70)]) {
      expect(kernel.probe(memorySource("x", content))).toBe(false);
    }
  });

  test("bytes changed anywhere, and cuts, end in an answer or an error", () => {
    const image = bzImage(gzipSync(text(1, 3000)));
    for (let at = 0; at < 0x700; at += 1) {
      const changed = Buffer.from(image.subarray(0, image.length - (at % 5) * 97));
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      try {
        if (kernel.probe(memorySource("x", changed))) opened(changed).facts();
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    }
  });
});
