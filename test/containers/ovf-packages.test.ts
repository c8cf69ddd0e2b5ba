import { describe, expect, test } from "vitest";
import type { Container, ContainerContext } from "../../src/containers/container.js";
import { openOvf, ovf } from "../../src/containers/ovf/discrete.js";
import { openOva, ova } from "../../src/containers/ovf/ova.js";
import type { OvfContainer } from "../../src/containers/ovf/package.js";
import { tar } from "../../src/containers/tar/index.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import {
  buildOvf,
  buildTar,
  type DiskRecipe,
  type FileRecipe,
  item,
  machine,
  type OvfRecipe,
  type TarMember,
  tarHeader,
} from "../support/ovf-builder.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { contentOf, listContainer } from "../support/trees.js";

const content = noise(1, 3000);

interface Recipe extends OvfRecipe {
  readonly members?: readonly TarMember[];
  readonly name?: string;
}

function openArchive({ members = [], name = "vm.ovf", ...recipe }: Recipe): OvfContainer {
  const source = memorySource("vm.ova", buildTar([{ name, content: buildOvf(recipe) }, ...members]));
  expect(ova.probe(source)).toBe(true);
  return openOva(source, alone);
}

/** What a folder holds; closing is counted. */
function folderOf(members: readonly TarMember[]): ContainerContext & { open: number; readonly asked: string[] } {
  const context = {
    ...alone,
    open: 0,
    asked: [] as string[],
    part(name: string) {
      context.asked.push(name);
      const found = members.find((each) => each.name === name);
      if (name.startsWith("denied")) throw new ImageError("PART_DENIED", "it leads out");
      if (!found) throw new ImageError("PART_MISSING", `"${name}" is missing`);
      context.open += 1;
      return { ...memorySource(name, Buffer.from(found.content)), close: () => void (context.open -= 1) };
    },
  };
  return context;
}

function openFolder({ members = [], ...recipe }: Recipe): OvfContainer {
  const source = memorySource("/somewhere/vm.ovf", Buffer.from(buildOvf(recipe)));
  expect(ovf.probe(source)).toBe(true);
  return openOvf(source, folderOf(members));
}

/** The bytes of a disk, its parts joined. */
function diskBytes(container: Container, name: string): Buffer {
  const disk = container.disks?.find((each) => each.name === name);
  if (!disk) throw new Error(`no disk ${name}`);
  return Buffer.concat([disk.path, ...(disk.parts ?? [])].map((path) => fileBytes(container, path)));
}

function fileBytes(container: Container, path: string): Buffer {
  let found = container.root;
  for (const name of path.split("/")) {
    const next = container.list(found.id).get(name);
    if (!next) throw new Error(`no file ${path}`);
    found = next;
  }
  return contentOf(container, found.id);
}

const notesOf = (container: Container) => container.facts().notes.join(" ");
const namesOf = (container: Container) => container.disks?.map(({ name }) => name);

const file = (id: string, href: string, more: Partial<FileRecipe> = {}): FileRecipe => ({ id, href, ...more });
const disk = (id: string, own: string | undefined, more: Partial<DiskRecipe> = {}): DiskRecipe => ({ id, file: own, ...more });

describe.each([
  { kind: "an archive", open: openArchive },
  { kind: "a folder", open: openFolder },
])("the disks of $kind:", ({ open }) => {
  test("those of the DiskSection, whatever their format", () => {
    const names = ["a-disk001.vmdk", "b.vhd", "c.qcow2", "d.img", "e.vdi", "f"];
    const container = open({
      files: names.map((name, index) => file(`file${index}`, name)),
      disks: names.map((_, index) => disk(`vmdisk${index}`, `file${index}`)),
      members: names.map((name, index) => ({ name, content: noise(index, 700 + index) })),
    });
    expect(namesOf(container)).toEqual(["a-disk001", "b", "c", "d", "e", "f"]);
    for (const [index, name] of ["a-disk001", "b", "c", "d", "e", "f"].entries()) {
      expect(difference(diskBytes(container, name), noise(index, 700 + index))).toBeUndefined();
    }
    expect(notesOf(container)).toBe("");
  });

  test("names by URL escapes, with ./, with backslashes, in folders", () => {
    const members = ["my disk.vmdk", "plus+%41.vmdk", "sub/deep/three.vmdk", "four.vmdk"].map((name) => ({ name, content }));
    const container = open({
      files: [file("1", "my%20disk.vmdk"), file("2", "plus+%41.vmdk"), file("3", "./sub\\deep/three.vmdk"), file("4", "./x/../four.vmdk")],
      disks: ["1", "2", "3", "4"].map((id) => disk(id, id)),
      members,
    });
    expect(container.disks?.map(({ path }) => path)).toEqual(["my disk.vmdk", "plus+%41.vmdk", "sub/deep/three.vmdk", "four.vmdk"]);
    expect(difference(diskBytes(container, "three"), content)).toBeUndefined();
  });

  test("names that lead out, absolute ones and URLs are not opened, and told", () => {
    const hrefs = ["../secret.vmdk", "%2e%2e/secret.vmdk", "/etc/passwd", "http://example.com/d.vmdk", "file:///etc/passwd", "C:\\d.vmdk"];
    const container = open({
      files: [...hrefs.map((href, index) => file(`${index}`, href)), file("good", "good.vmdk")],
      disks: [...hrefs.map((_, index) => disk(`${index}`, `${index}`)), disk("good", "good")],
      members: [
        { name: "good.vmdk", content },
        { name: "secret.vmdk", content },
        { name: "etc/passwd", content },
      ],
    });
    expect(namesOf(container)).toEqual(["good"]);
    for (const href of hrefs) expect(notesOf(container)).toContain(JSON.stringify(href).replaceAll("\\\\", "\\"));
    expect(notesOf(container).match(/is not opened/g)).toHaveLength(hrefs.length);
  });

  test("pieces are joined in their order", () => {
    const whole = noise(7, 2500);
    const pieces = [0, 1, 2].map((index) => ({
      name: `big.vmdk.00000000${index}`,
      content: whole.subarray(index * 1000, index * 1000 + 1000),
    }));
    const container = open({
      files: [file("f", "big.vmdk", { size: 2500, chunkSize: 1000 })],
      disks: [disk("d", "f")],
      members: [...pieces].reverse(),
    });
    expect(container.disks).toMatchObject([
      { name: "big", path: "big.vmdk.000000000", parts: ["big.vmdk.000000001", "big.vmdk.000000002"] },
    ]);
    expect(difference(diskBytes(container, "big"), whole)).toBeUndefined();
    expect(notesOf(container)).toBe("");
  });

  test("pieces without a chunkSize are joined too, unless each is an image", () => {
    const pieces = (magic: string) =>
      [0, 1].map((index) => ({ name: `a.vmdk.00000000${index}`, content: Buffer.concat([Buffer.from(magic), noise(index, 1000)]) }));
    const parts = { files: [file("f", "a.vmdk")], disks: [disk("d", "f")] };
    expect(diskBytes(open({ ...parts, members: pieces("data") }), "a")).toHaveLength(2008);
    const snapshots = open({ ...parts, members: pieces("KDMV") });
    expect(snapshots.disks).toMatchObject([{ path: "a.vmdk.000000001" }]);
    expect(notesOf(snapshots)).toMatch(/2 states, of which the last/);
  });

  test.each([
    { what: "a piece in the middle", present: [0, 2], size: 3000, note: /its piece 1 is missing/ },
    { what: "the last piece", present: [0, 1], size: 3000, note: /its piece 2 is missing/ },
    { what: "a piece in the middle, and no size is told", present: [0, 2], size: undefined, note: /its piece 1 is missing/ },
    { what: "the first piece", present: [1, 2], size: 3000, note: /is missing in the package/ },
  ])("$what that is missing: no disk, and a note", ({ present, size, note }) => {
    const container = open({
      files: [file("f", "a.img", { size, chunkSize: 1000 })],
      disks: [disk("d", "f")],
      members: present.map((index) => ({ name: `a.img.00000000${index}`, content: noise(index, 1000) })),
    });
    expect(container.disks).toEqual([]);
    expect(notesOf(container)).toMatch(note);
  });

  test("a piece of another size would shift the rest: no disk", () => {
    const members = [1000, 999, 1000].map((length, index) => ({ name: `a.img.00000000${index}`, content: noise(index, length) }));
    const container = open({ files: [file("f", "a.img", { chunkSize: 1000 })], disks: [disk("d", "f")], members });
    expect(container.disks).toEqual([]);
    expect(notesOf(container)).toMatch(/piece 1 has 999 bytes instead of 1000/);
  });

  test("a chunkSize, and one whole file", () => {
    const container = open({
      files: [file("f", "a.img", { size: 3000, chunkSize: 8000 })],
      disks: [disk("d", "f")],
      members: [{ name: "a.img", content }],
    });
    expect(difference(diskBytes(container, "a"), content)).toBeUndefined();
  });

  test("pieces and a whole file of that name: a chunkSize means the pieces, none means the file", () => {
    const members = ["a.img", "a.img.000000000", "a.img.000000001"].map((name, index) => ({ name, content: noise(index, 1000) }));
    const parts = (chunkSize?: number) => {
      const container = open({ files: [file("f", "a.img", { chunkSize })], disks: [disk("d", "f")], members });
      return container.disks?.flatMap(({ path, parts: rest = [] }) => [path, ...rest]);
    };
    expect(parts(1000)).toEqual(["a.img.000000000", "a.img.000000001"]);
    expect(parts()).toEqual(["a.img"]);
  });

  test("differences know their parents by name", () => {
    const container = open({
      files: [file("f1", "base.vmdk"), file("f2", "delta.vmdk"), file("f3", "delta2.vmdk")],
      disks: [disk("top", "f3", { parent: "middle" }), disk("base", "f1"), disk("middle", "f2", { parent: "base" })],
      members: ["base.vmdk", "delta.vmdk", "delta2.vmdk"].map((name) => ({ name, content })),
    });
    expect(container.disks?.map(({ name, parent }) => [name, parent])).toEqual([
      ["delta2", "delta"],
      ["base", undefined],
      ["delta", "base"],
    ]);
  });

  test("a difference without its parent is no disk; over an empty disk it is one", () => {
    const container = open({
      files: ["a", "b", "c", "e", "gone"].map((id) => file(id, `${id}.vmdk`)),
      disks: [
        disk("a", "a", { parent: "gone" }),
        disk("gone", "gone"),
        disk("b", "b", { parent: "a" }),
        disk("c", "c", { parent: "unknown" }),
        disk("empty", undefined, { capacity: "1", units: "byte * 2^30" }),
        disk("e", "e", { parent: "empty" }),
      ],
      members: ["a", "b", "c", "e"].map((id) => ({ name: `${id}.vmdk`, content })),
    });
    expect(container.disks).toMatchObject([{ name: "e" }]);
    expect(container.disks?.[0]).not.toHaveProperty("parent");
    expect(notesOf(container)).toMatch(/"gone.vmdk" is missing/);
    expect(notesOf(container)).toMatch(/"a.vmdk" is not opened: it is a difference to the disk "gone", which is missing/);
    expect(notesOf(container)).toMatch(/"b.vmdk" is not opened/);
    expect(notesOf(container)).toMatch(/"c.vmdk" is not opened: .*"unknown", which the descriptor does not tell of/);
    expect(notesOf(container)).toMatch(/The disk "empty" is empty \(1 GiB\)/);
  });

  test("parents in a circle", () => {
    const container = open({
      files: [file("a", "a.vmdk"), file("b", "b.vmdk")],
      disks: [disk("a", "a", { parent: "b" }), disk("b", "b", { parent: "a" })],
      members: ["a.vmdk", "b.vmdk"].map((name) => ({ name, content })),
    });
    expect(container.disks).toEqual([]);
    expect(notesOf(container)).toMatch(/is its own ancestor/);
  });

  test("names that are the same become the ids of the disks", () => {
    const container = open({
      files: [file("1", "a/disk.vmdk"), file("2", "b/disk.vmdk"), file("3", "c.vmdk")],
      disks: [disk("x/1", "1"), disk("two", "2"), disk("again", "3"), disk("once more", "3"), disk("", "3")],
      members: ["a/disk.vmdk", "b/disk.vmdk", "c.vmdk"].map((name) => ({ name, content })),
    });
    expect(namesOf(container)).toEqual(["x_1", "two", "again", "once more", "c"]);
  });

  test("discs and floppies in the drives", () => {
    const container = open({
      files: ["tools.iso", "boot.flp", "other.iso", "disk.vmdk", "seed.raw", "readme.txt"].map((name) => file(name, name)),
      disks: [
        disk("d", "disk.vmdk"),
        disk("cd", "other.iso", { format: "http://www.ecma-international.org/publications/standards/Ecma-119.htm" }),
      ],
      systems: machine("m", "m", [
        item(15, { InstanceID: 1, HostResource: "ovf:/file/seed.raw" }),
        item(14, { InstanceID: 2, HostResource: "ovf:/file/boot.flp" }),
        item(17, { InstanceID: 3, HostResource: "ovf:/disk/d" }),
        item(16, { InstanceID: 4, HostResource: "/disk/cd" }),
      ]),
      members: ["tools.iso", "boot.flp", "other.iso", "disk.vmdk", "seed.raw", "readme.txt"].map((name) => ({ name, content })),
    });
    expect(container.disks?.map(({ path, role }) => [path, role])).toEqual([
      ["disk.vmdk", undefined],
      ["other.iso", "CD"],
      ["seed.raw", "CD"],
      ["boot.flp", "floppy"],
      ["tools.iso", "CD"],
    ]);
  });

  test("files by name instead of id, as Red Hat writes them", () => {
    const container = open({
      files: [file("volume", "group/volume")],
      disks: [disk("volume", "group/volume")],
      members: [{ name: "group/volume", content }],
    });
    expect(container.disks).toMatchObject([{ name: "volume", path: "group/volume" }]);
  });

  test("encrypted ones are refused by name", () => {
    const reference = '<DerivedKey><ReferenceList><DataReference URI="#a.vmdk"/></ReferenceList></DerivedKey>';
    const container = open({
      files: [file("a", "a.vmdk"), file("b", "b.vmdk")],
      disks: [disk("a", "a"), disk("b", "b")],
      systems: `<%EncryptionSection>${reference}</%EncryptionSection>`,
      members: ["a.vmdk", "b.vmdk"].map((name) => ({ name, content })),
    });
    expect(namesOf(container)).toEqual(["b"]);
    expect(notesOf(container)).toMatch(/"a.vmdk" is not opened: it is encrypted/);
  });

  test("a size that is another one, and a file that is not told of, are notes", () => {
    const container = open({
      files: [file("f", "a.vmdk", { size: 5 })],
      disks: [disk("a", "f"), disk("b", "nothing")],
      members: [{ name: "a.vmdk", content }],
    });
    expect(namesOf(container)).toEqual(["a"]);
    expect(notesOf(container)).toMatch(/"a.vmdk" has 3000 bytes, and the descriptor says 5/);
    expect(notesOf(container)).toMatch(/The disk "b" names the file "nothing"/);
  });

  test("facts of the machine", () => {
    const container = open({
      version: "1.0",
      networks: ["NAT", "inner"],
      disks: [disk("a", undefined, { capacity: "3", units: "GigaBytes" })],
      systems: machine(
        "m",
        "Mail",
        [item(3, { InstanceID: 1, VirtualQuantity: 2 }), item(4, { InstanceID: 2, VirtualQuantity: 512, AllocationUnits: "MegaBytes" })],
        "<%ProductSection><%Product>Post</%Product><%Vendor>Acme</%Vendor><%Version>2</%Version></%ProductSection>" +
          '<%OperatingSystemSection ovf:id="1"><%Description>Linux</%Description></%OperatingSystemSection>',
      ),
    });
    expect(container.facts().variant).toBe("OVF 1.0");
    expect(container.facts().details).toMatchObject({
      "virtual machine": "Mail",
      product: "Post 2 (Acme)",
      "operating system": "Linux",
      CPUs: 2,
      "memory size": 512 * 2 ** 20,
      disks: 1,
      "total disk size": 3 * 2 ** 30,
      networks: "NAT, inner",
    });
  });

  test("facts of several machines", () => {
    const one = machine("a", "one", [item(3, { InstanceID: 1, VirtualQuantity: 1 })]);
    const two = machine("b", "two", [item(4, { InstanceID: 2, VirtualQuantity: 1, AllocationUnits: "GB" })]);
    const container = open({ systems: `<%VirtualSystemCollection>${one}${two}</%VirtualSystemCollection>` });
    expect(container.facts().details).toMatchObject({
      "virtual machines": 2,
      "virtual machine 1": "one, 1 CPU",
      "virtual machine 2": "two, 1 GiB of memory",
    });
  });
});

describe("an archive", () => {
  test("is known by a descriptor among its first members", () => {
    const some = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `file${index}`, content: noise(index, index) }));
    const descriptor = { name: "vm.ovf", content: buildOvf({}) };
    const probe = (members: readonly TarMember[]) => ova.probe(memorySource("a", buildTar(members)));
    expect(probe([descriptor])).toBe(true);
    expect(probe([...some(20), descriptor])).toBe(true);
    expect(probe([...some(100), descriptor])).toBe(false);
    expect(probe([{ ...descriptor, name: "./VM.OVF" }])).toBe(true);
    expect(probe([{ ...descriptor, name: "folder/vm.ovf" }])).toBe(true);
    expect(probe([{ ...descriptor, name: "src/test/data/vm.ovf" }])).toBe(false);
    expect(probe([{ ...descriptor, name: "._vm.ovf" }])).toBe(false);
    expect(probe(some(3))).toBe(false);
    expect(ova.probe(memorySource("a", noise(1, 5000)))).toBe(false);
    expect(ova.probe(memorySource("a", Buffer.alloc(5000)))).toBe(false);
    expect(ova.probe(memorySource("a", Buffer.alloc(0)))).toBe(false);
  });

  test("is known behind a member whose size stands in its pax records", () => {
    const records = Buffer.from("19 size=8589939712\n".padEnd(512, "\0"));
    const start = Buffer.concat([tarHeader("x", 19, "x"), records, tarHeader("big.img", 512)]);
    expect(records.indexOf(0)).toBe(19);
    const end = buildTar([{ name: "vm.ovf", content: buildOvf({}) }]);
    expect(ova.probe(sparseSource(start, 8_589_939_712, end))).toBe(true);
  });

  test("reads as the tar archive that it is", () => {
    const bytes = buildTar([{ name: "vm.ovf", content: buildOvf({}) }, ...["a", "b/c"].map((name) => ({ name, content }))]);
    const source = memorySource("vm.ova", bytes);
    const aspects = ["kind", "mode", "uid", "gid", "modified", "size", "sha256"] as const;
    expect(listContainer(openOva(source, alone), aspects)).toEqual(listContainer(tar.open(source, alone), aspects));
  });

  test("all of whose files are in one folder", () => {
    const container = openArchive({
      name: "vm/vm.ovf",
      files: [file("f", "d.vmdk"), file("g", "../d.vmdk")],
      disks: [disk("d", "f"), disk("e", "g")],
      members: ["vm/d.vmdk", "d.vmdk"].map((name) => ({ name, content })),
    });
    expect(container.disks).toEqual([{ name: "d", path: "vm/d.vmdk" }]);
  });

  test("with a descriptor that is damaged is an archive all the same, and says so", () => {
    const container = openOva(
      memorySource(
        "vm.ova",
        buildTar([
          { name: "vm.ovf", content: "<ovf:Envelope>" },
          { name: "d.vmdk", content },
        ]),
      ),
      alone,
    );
    expect(container.disks).toEqual([]);
    expect(difference(fileBytes(container, "d.vmdk"), content)).toBeUndefined();
    expect(notesOf(container)).toMatch(/"vm.ovf": the descriptor cannot be understood/);
  });

  test("with a second descriptor, and what macOS stores beside files", () => {
    const container = openOva(
      memorySource(
        "vm.ova",
        buildTar([
          { name: "._vm.ovf", content: noise(1, 100) },
          { name: "vm.ovf", content: buildOvf({ files: [file("f", "d.vmdk")], disks: [disk("d", "f")] }) },
          { name: "zz.ovf", content: buildOvf({}) },
          { name: "d.vmdk", content },
        ]),
      ),
      alone,
    );
    expect(namesOf(container)).toEqual(["d"]);
    expect(notesOf(container)).toBe('"zz.ovf" is another descriptor: what it tells of is not shown.');
  });

  test("that is a Vagrant box says so", () => {
    const container = openArchive({ name: "box.ovf", members: [{ name: "metadata.json", content: '{"provider":"virtualbox"}' }] });
    expect(container.facts().variant).toBe("OVF 1.x, Vagrant box");
  });

  test("with a disk over 8 GiB: its size in base 256, and what follows it", () => {
    const descriptor = Buffer.from(
      buildOvf({ files: [file("f", "big.img"), file("g", "small.img")], disks: [disk("1", "f"), disk("2", "g")] }),
    );
    const big = 9 * 2 ** 30;
    const head = Buffer.concat([tarHeader("vm.ovf", descriptor.length), descriptor, Buffer.alloc((512 - (descriptor.length % 512)) % 512)]);
    const start = Buffer.concat([head, tarHeader("big.img", big)]);
    const end = Buffer.concat([tarHeader("small.img", content.length), content, Buffer.alloc(72), Buffer.alloc(1024)]);
    const container = openOva(sparseSource(start, big, end), alone);
    expect(container.disks?.map(({ name, path }) => [name, path])).toEqual([
      ["big", "big.img"],
      ["small", "small.img"],
    ]);
    expect(difference(diskBytes(container, "small"), content)).toBeUndefined();
    const { id, size } = container.list(container.root.id).get("big.img") ?? { id: 0, size: 0 };
    expect(size).toBe(big);
    expect(container.content(id).map(big - 1, 1)).toMatchObject({ kind: "data", length: 1, position: start.length + big - 1 });
  });

  test("cut anywhere, and with any byte changed, ends in a listing or an error", () => {
    const bytes = buildTar([
      { name: "vm.ovf", content: buildOvf({ files: [file("f", "d.vmdk", { chunkSize: 100 })], disks: [disk("d", "f")] }) },
      { name: "d.vmdk.000000000", content: noise(1, 100) },
      { name: "d.vmdk.000000001", content: noise(2, 50) },
    ]);
    const tryOpen = (changed: Buffer) => {
      const source = memorySource("vm.ova", changed);
      imageErrorOf(() => {
        if (!ova.probe(source)) return;
        const container = openOva(source, alone);
        container.facts();
        for (const { name } of container.disks ?? []) imageErrorOf(() => diskBytes(container, name));
      });
    };
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      tryOpen(changed);
      if (at % 7 === 0) tryOpen(bytes.subarray(0, at));
    }
  });
});

/** `start`, a hole, `end`. */
function sparseSource(start: Buffer, hole: number, end: Buffer) {
  const source = {
    name: "vm.ova",
    size: start.length + hole + end.length,
    read(target: Uint8Array, position: number) {
      target.fill(0);
      const copy = (part: Buffer, at: number) => {
        for (let index = 0; index < target.length; index += 1) {
          const from = position + index - at;
          if (from >= 0 && from < part.length) target[index] = part[from] ?? 0;
        }
      };
      copy(start, 0);
      copy(end, start.length + hole);
    },
    close: () => undefined,
  };
  return source;
}

describe("a folder", () => {
  test.each([
    { what: "a default namespace", recipe: { prefix: "" }, found: true },
    { what: "another prefix", recipe: { prefix: "o" }, found: true },
    { what: "comments and blank lines", recipe: { declaration: "\n<!-- <Envelope> -->\n<?xml version='1.0'?>\n<!-- x -->" }, found: true },
    { what: "a namespace of SOAP", recipe: { prefix: "s", namespace: "http://schemas.xmlsoap.org/soap/envelope/" }, found: false },
  ])("is known by its descriptor: $what", ({ recipe, found }) => {
    const text = buildOvf({ ...recipe }).replace(found ? "" : /ovf/g, "");
    expect(ovf.probe(memorySource("a", Buffer.from(text)))).toBe(found);
    expect(ovf.probe(memorySource("a", Buffer.from(`\ufeff${text.trimStart()}`, "utf16le")))).toBe(found);
  });

  test.each([
    ["<html>", "<html><!-- ovf:Envelope -->".padEnd(100)],
    ["text", "an ovf:Envelope is a thing".padEnd(100)],
    ["zeros", "\0".repeat(100)],
    ["nothing", ""],
    ["blanks", " ".repeat(100_000)],
    ["a comment without end", `<!--${"-".repeat(100_000)}`],
  ])("is not: %s", (_, text) => {
    expect(ovf.probe(memorySource("a", Buffer.from(text)))).toBe(false);
  });

  test("holds the descriptor, the manifest, the certificate and what is referenced, by directories", () => {
    const members = ["vm.mf", "vm.cert", "d.vmdk", "sub/e.vmdk", "other.txt"].map((name) => ({ name, content: name }));
    const container = openFolder({ files: [file("f", "d.vmdk"), file("g", "./sub/e.vmdk"), file("h", "d.vmdk")], members });
    const listing = [...listContainer(container, ["kind"])].map(([path, { kind }]) => `${path} ${kind}`);
    expect(listing).toEqual(["d.vmdk file", "sub directory", "sub/e.vmdk file", "vm.cert file", "vm.mf file", "vm.ovf file"]);
    expect(fileBytes(container, "vm.mf").toString()).toBe("vm.mf");
    expect(fileBytes(container, "vm.ovf").toString()).toMatch(/Envelope/);
  });

  test("closes what it opened, once, and nothing else", () => {
    const context = folderOf([{ name: "d.vmdk", content }]);
    const source = memorySource("vm.ovf", Buffer.from(buildOvf({ files: [file("f", "d.vmdk"), file("g", "d.vmdk"), file("h", "gone")] })));
    let closed = 0;
    const container = openOvf({ ...source, close: () => void (closed += 1) }, context);
    expect(context.open).toBe(1);
    container.close?.();
    expect(context.open).toBe(0);
    expect(closed).toBe(0);
  });

  test("asks for nothing that leads out", () => {
    const context = folderOf([]);
    const hrefs = ["../x", "%2e%2e%2fx", "/x", "http://x/x", "a\\..\\..\\x", "file:x"];
    openOvf(memorySource("vm.ovf", Buffer.from(buildOvf({ files: hrefs.map((href) => file(href, href)) }))), context);
    expect(context.asked).toEqual(["vm.mf", "vm.cert"]);
  });

  test("a file that must not be opened is a note, and the others are there", () => {
    const container = openFolder({
      files: [file("1", "denied.vmdk"), file("2", "d.vmdk")],
      disks: [disk("1", "1"), disk("2", "2")],
      members: [{ name: "d.vmdk", content }],
    });
    expect(namesOf(container)).toEqual(["d"]);
    expect(notesOf(container)).toMatch(/"denied.vmdk" is not opened: it leads out/);
  });

  test("more files than can be open are told", () => {
    const files = Array.from({ length: 600 }, (_, index) => file(`${index}`, `f${index}`));
    const members = files.map(({ href }) => ({ name: href, content: "x" }));
    const context = folderOf(members);
    const container = openOvf(memorySource("vm.ovf", Buffer.from(buildOvf({ files }))), context);
    expect(context.open).toBe(510);
    expect(notesOf(container)).toMatch(/more than 512 files/);
    container.close?.();
    expect(context.open).toBe(0);
  });

  test("a descriptor that is damaged, or far too large, is an error", () => {
    const open = (text: string | Buffer) => imageErrorOf(() => openOvf(memorySource("vm.ovf", Buffer.from(text)), folderOf([])));
    expect(open("<ovf:Envelope>")).toMatchObject({ code: "CORRUPT", file: "vm.ovf" });
    expect(open(Buffer.alloc(2 ** 24 + 1, " "))).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("with any byte changed ends in a listing or an error", () => {
    const text = Buffer.from(buildOvf({ files: [file("f", "d.vmdk", { chunkSize: 5 })], disks: [disk("d", "f")], networks: ["n"] }));
    for (let at = 0; at < text.length; at += 1) {
      for (const bit of [1, 2, 16, 128]) {
        const changed = Buffer.from(text);
        changed[at] = (changed[at] ?? 0) ^ bit;
        imageErrorOf(() => openOvf(memorySource("vm.ovf", changed), folderOf([{ name: "d.vmdk", content }])).facts());
      }
    }
  });
});
