import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { kernel } from "../../src/containers/kernel/index.js";
import { createIndexStore } from "../../src/disk/index-store.js";
import { createUnpacker } from "../../src/disk/unpack.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
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
  const unpacker = createUnpacker(createIndexStore({}, undefined), { degraded: false });
  const unpack = (source: Parameters<typeof unpacker.unpack>[0], label: string) => {
    const { source: inner, packings } = unpacker.unpack(source, label);
    return packings.length > 0 ? inner : undefined;
  };
  return kernel.open(memorySource("vmlinuz", content), { ...alone, unpack });
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
