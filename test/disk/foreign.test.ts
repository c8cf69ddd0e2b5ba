import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { damaged, documents, unread } from "../../src/formats/foreign-kinds.js";
import { noise } from "../support/content.js";
import { difference, flatOf, imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();

function fileOf(name: string, content: Uint8Array): string {
  const path = join(subdirectory(directory), name);
  writeFileSync(path, content);
  return path;
}

/** A file of 8 KiB with a signature where it belongs. */
function marked([position, signature]: readonly [number, string]): Buffer {
  const content = Buffer.alloc(8192);
  content.write(signature, position < 0 ? content.length + position : position, "latin1");
  return content;
}

describe("what no driver reads is refused by name", () => {
  test.each(unread.map((kind) => [kind.what, kind] as const))("%s", (what, { marks }) => {
    for (const mark of marks) {
      for (const name of ["disk", "disk.img", "disk.bak"]) {
        const error = imageErrorOf(() => flatOf(fileOf(name, marked(mark))));
        expect(error).toMatchObject({ code: "WRONG_FORMAT", message: `it is ${what}, which cannot be read` });
        expect(error?.hint).toContain("--format raw");
      }
      expect(flatOf(fileOf("disk", marked(mark)), { format: "raw" }).length).toBe(8192);
    }
  });

  test.each(documents.map((kind) => [kind.what, kind] as const))("%s, but a name that says raw is believed", (what, { marks }) => {
    for (const mark of marks) {
      expect(imageErrorOf(() => flatOf(fileOf("disk", marked(mark))))).toMatchObject({ message: `it is ${what}, not a disk image` });
      expect(flatOf(fileOf("disk.img", marked(mark))).length).toBe(8192);
    }
  });

  test.each([
    ["a.vmx", '.encoding = "UTF-8"\nconfig.version = "8"\nscsi0:0.fileName = "a.vmdk"\n', ".vmx"],
    ["a.vbox", '<?xml version="1.0"?>\n<VirtualBox xmlns="http://www.virtualbox.org/" version="1.16"/>\n', ".vbox"],
    ["a.xml", "<domain type='kvm'>\n  <name>a</name>\n</domain>\n", "libvirt"],
    ["a.txt", "some text\n", "it is text"],
  ])("%s, which says what the disks of a machine are", (name, text, message) => {
    expect(imageErrorOf(() => flatOf(fileOf(name, Buffer.from(text))))).toMatchObject({
      message: expect.stringContaining(message) as string,
    });
  });
});

describe("names of images on what is none", () => {
  const names = ["disk.qcow2", "disk.vmdk", "disk.VDI", "disk.vhdx", "disk.vhd", "disk.avhdx", "disk.dmg", "disk.E01", "disk.qed"];

  test.each(names)("%s, and nothing but zeros or noise in it: refused, since a header is lost", (name) => {
    for (const content of [Buffer.alloc(70_000), noise(1, 70_000), Buffer.alloc(3)]) {
      expect(imageErrorOf(() => flatOf(fileOf(name, content)))).toMatchObject({
        code: "WRONG_FORMAT",
        message: expect.stringContaining("it is called like a") as string,
      });
    }
  });

  test.each([
    ["a partition table", 510, "\x55\xaa"],
    ["a GPT", 512, "EFI PART"],
    ["ext4", 1080, "\x53\xef"],
    ["XFS", 0, "XFSB"],
    ["an LVM volume", 512, "LABELONE"],
    ["a disc", 32_769, "CD001"],
  ])("a raw disk with %s is one, whatever it is called", (_, position, signature) => {
    const content = noise(2, 70_000);
    content.write(signature, position, "latin1");
    for (const name of names) expect(difference(flatOf(fileOf(name, content)), content)).toBeUndefined();
  });

  test("the change tracking of a VMDK is no disk", () => {
    expect(imageErrorOf(() => flatOf(fileOf("disk-ctk.vmdk", noise(1, 4096))))).toMatchObject({
      code: "WRONG_FORMAT",
      message: "it is the change tracking of a VMDK (-ctk.vmdk), and no disk",
    });
  });

  test("any other name, and that of a flat extent, may hold anything", () => {
    const content = noise(3, 8192);
    for (const name of ["disk", "disk.img", "disk.dd", "sda1", "disk.bak"])
      expect(difference(flatOf(fileOf(name, content)), content)).toBeUndefined();
    const folder = subdirectory(directory);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "disk-flat.vmdk"), content);
    expect(difference(flatOf(join(folder, "disk-flat.vmdk"), { window: { offset: 0 } }), content)).toBeUndefined();
  });
});

test("no signature is listed twice", () => {
  const all = [...damaged, ...unread, ...documents].flatMap(({ marks }) =>
    marks.map(([position, signature]) => `${position} ${signature}`),
  );
  expect(new Set(all).size).toBe(all.length);
});
