// Volumes that no installable program writes, from a builder that knows the specifications alone.
import { describe, expect, test } from "vitest";
import type { Container, Content, Item } from "../../src/containers/container.js";
import { udf } from "../../src/containers/udf/index.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { contentOf, listContainer } from "../support/trees.js";
import { type BuiltUdf, buildUdf, type UdfKind, type UdfNode, type UdfRecipe } from "../support/udf-builder.js";
import { retag, udfDeviceAttribute, udfPath, udfTime } from "../support/udf-structures.js";

function openDisc(disc: Buffer, sessions?: readonly number[], session?: number): Container {
  return udf.open(memorySource("disc.img", disc), { ...alone, sessions, options: { session } });
}

/** Builds, changes a copy, opens. */
function open(recipe: UdfRecipe, change: (built: BuiltUdf) => Buffer | undefined = () => undefined): Container {
  const built = buildUdf(recipe);
  const disc = change(built) ?? built.disc;
  expect(udf.probe(memorySource("disc.img", disc))).toBe(true);
  return openDisc(disc);
}

function find(container: Container, path: string): Item {
  return path
    .split("/")
    .filter((name) => name !== "")
    .reduce((item, name) => {
      const found = container.list(item.id).get(name);
      if (!found) throw new Error(`${name} is not there, but ${[...container.list(item.id).keys()].join(", ")}`);
      return found;
    }, container.root);
}

const read = (container: Container, path: string): Buffer => contentOf(container, find(container, path).id);
const namesIn = (container: Container, path = ""): readonly string[] => [...container.list(find(container, path).id).keys()];
const notesOf = (container: Container): string => container.facts().notes.join(" ");

/** Kinds of runs of a file, each once. */
function kindsOf(container: Container, path: string): readonly string[] {
  const { map, size } = container.content(find(container, path).id);
  const kinds: string[] = [];
  for (let offset = 0; offset < size; ) {
    const extent = map(offset, size - offset);
    if (kinds.at(-1) !== extent.kind) kinds.push(extent.kind);
    offset += extent.length;
  }
  return kinds;
}

const big = noise(1, 300_001);
const small = noise(2, 77);
const many: readonly UdfNode[] = Array.from({ length: 60 }, (_, index) => ({
  name: `file ${index}.txt`,
  content: noise(index, 10 + index),
}));
const tree: readonly UdfNode[] = [
  { name: "big.bin", content: big, pieces: [3, 1, 7], perArea: 8 },
  { name: "small", content: small },
  { name: "empty" },
  {
    name: "folder",
    children: [
      { name: "in it", content: noise(3, 5000) },
      { name: "many", children: many },
    ],
  },
  { name: "文字 и буквы", content: noise(4, 10) },
];

function expectTree(container: Container): void {
  expect(namesIn(container)).toEqual(["big.bin", "small", "empty", "folder", "文字 и буквы"]);
  expect(difference(read(container, "big.bin"), big)).toBeUndefined();
  expect(difference(read(container, "small"), small)).toBeUndefined();
  expect(difference(read(container, "folder/in it"), noise(3, 5000))).toBeUndefined();
  expect(namesIn(container, "folder/many")).toEqual(many.map(({ name }) => name));
  for (const { name, content = small } of many)
    expect(difference(read(container, `folder/many/${String(name)}`), Buffer.from(content))).toBeUndefined();
  listContainer(container, ["kind", "size", "sha256"]);
}

const kinds: readonly UdfKind[] = ["physical", "virtual", "sparable", "metadata", "metadata on sparable"];

describe.each(kinds)("a %s partition", (kind) => {
  const spared = kind.includes("sparable") ? [0, 1, 3] : [];

  test.each([512, 1024, 2048, 4096])("with sectors of %i bytes", (sectorSize) => {
    const container = open({ root: tree, kind, sectorSize, spared });
    expectTree(container);
    const { variant, details, notes } = container.facts();
    expect({ variant, notes }).toEqual({ variant: "UDF 2.01", notes: [] });
    expect(details["block size"]).toBe(sectorSize);
  });

  test.each([0x0102, 0x0150, 0x0200, 0x0250, 0x0260])("of revision 0x%i", (revision) => {
    const container = open({ root: tree, kind, revision, spared });
    expectTree(container);
    expect(container.facts().variant).toBe(`UDF ${revision >> 8}.${(revision & 255).toString(16).padStart(2, "0")}`);
  });

  test.each(["short", "long", "extended"] as const)(
    "files by %s descriptors, in areas that continue each other, with holes",
    (allocation) => {
      // Short ones stay in the partition of the entry.
      const root = [{ name: "file", content: big, pieces: [2, -3, 1, 1, -1], perArea: 3, allocation }];
      const container = open({ root, kind, spared });
      const expected = Buffer.from(big);
      for (let at = 0, turn = 0; at < expected.length; turn += 1) {
        const piece = [2, -3, 1, 1, -1][turn % 5] ?? 1;
        if (piece < 0) expected.fill(0, at, Math.min(expected.length, at - piece * 2048));
        at += Math.abs(piece) * 2048;
      }
      expect(difference(read(container, "file"), expected)).toBeUndefined();
      expect(new Set(kindsOf(container, "file"))).toEqual(new Set(["data", "zero"]));
    },
  );

  test("directories in many pieces, whose identifiers cross blocks", () => {
    const children = Array.from({ length: 300 }, (_, index) => ({
      name: `${"x".repeat(index % 200)}${index}`,
      implementationUse: (index % 5) * 4,
    }));
    const root = [{ name: "d", children, pieces: [1, 2], perArea: 2 }];
    expect(namesIn(open({ root, kind, spared, sectorSize: 512 }), "d")).toEqual(children.map(({ name }) => name));
  });

  test("tags that say they are elsewhere, as in images that were moved", () => {
    expectTree(open({ root: tree, kind, spared, relocated: 12_345 }));
  });

  test("without what came before it on the disc", () => {
    const container = open({ root: tree, kind, spared, missing: 11_400 });
    expectTree(container);
    expect(notesOf(container)).toMatch(/part of a disc/);
  });
});

describe("what leads to the volume", () => {
  test.each(["first", "last", "before last"] as const)("the %s anchor alone", (anchor) => {
    for (const sectorSize of [512, 2048, 4096]) expectTree(open({ root: tree, anchors: [anchor], sectorSize }));
  });

  test("the anchor of a disc that is not closed yet", () => {
    expect(namesIn(open({ root: [{ name: "file" }], anchors: ["512"] }))).toEqual(["file"]);
  });

  test("an anchor without a recognition sequence, and the other way round", () => {
    expectTree(open({ root: tree, recognition: false }));
    const { disc } = buildUdf({ root: tree, anchors: [] });
    expect(udf.probe(memorySource("x", disc))).toBe(true);
    expect(() => openDisc(disc)).toThrow(/no anchor/);
    expect(udf.probe(memorySource("x", buildUdf({ root: tree, anchors: [], recognition: false }).disc))).toBe(false);
  });

  test.each([150, 151, 300, 1000])("an image padded by %i sectors, whose first anchor is gone", (sectors) => {
    const { disc } = buildUdf({ root: tree, anchors: ["last", "before last"] });
    expectTree(openDisc(Buffer.concat([disc, Buffer.alloc(sectors * 2048)])));
  });

  test("an odd number of bytes at the end", () => {
    for (const kind of kinds) {
      const { disc } = buildUdf({ root: tree, kind });
      expectTree(openDisc(Buffer.concat([disc, Buffer.alloc(777, 1)])));
    }
  });

  test.each([1, 3])("the reserve sequence, where descriptor %i of the main one is damaged", (index) => {
    const container = open({ root: tree }, ({ disc, at }) => {
      disc.fill(0xff, at.main + index * 2048 + 100, at.main + index * 2048 + 400);
      return disc;
    });
    expectTree(container);
    expect(notesOf(container)).toMatch(/reserve/);
  });

  test("the reserve sequence, where the main one is blank", () => {
    const container = open({ root: tree, sectorSize: 512 }, ({ disc, at }) => disc.fill(0, at.main, at.main + 16 * 512));
    expectTree(container);
    expect(notesOf(container)).toMatch(/reserve/);
  });

  test("no integrity descriptor, and one of a volume that was not closed", () => {
    const without = open({ root: tree, integrity: false });
    expectTree(without);
    expect(without.facts().details).not.toHaveProperty("files");
    const unclosed = open({ root: tree, open: true });
    expectTree(unclosed);
    expect(notesOf(unclosed)).toMatch(/not closed/);
    expect(unclosed.facts().details).toMatchObject({ files: 41, directories: 12, "volume name": "Ünïted 名", access: "overwritable" });
  });

  test("several file sets: the newest of the first one", () => {
    const container = open({ root: tree, olderFileSets: 2, otherFileSets: 1 });
    expectTree(container);
    expect(notesOf(container)).toMatch(/2 file sets/);
  });

  test("sessions whose starts are known", () => {
    const first = buildUdf({ root: [{ name: "first" }] }).disc;
    const gap = Buffer.alloc(500 * 2048);
    const start = first.length + gap.length;
    const { disc: second } = buildUdf({ root: [{ name: "second" }], anchors: ["first"] });
    // What counts from the start of the disc is as far behind it.
    const disc = Buffer.concat([first, gap, buildUdf({ root: [{ name: "second" }], anchors: ["first"], missing: start / 2048 }).disc]);
    expect(namesIn(openDisc(disc, [0, start]))).toEqual(["second"]);
    expect(namesIn(openDisc(disc, [0, start], 2))).toEqual(["second"]);
    expect(namesIn(openDisc(disc, [0, start], 1))).toEqual(["first"]);
    expect(namesIn(openDisc(disc))).toEqual(["first"]);
    expect(() => openDisc(second, [0], 3)).toThrow("the disc has no session 3, it has 1");
  });

  test("a partition on another disc of a set", () => {
    expect(() => open({ root: tree, mapVolume: 2 })).toThrow(/disc 2 of a set/);
  });
});

describe("a metadata partition", () => {
  test.each(["metadata", "mirror"] as const)("whose %s file is damaged", (which) => {
    const container = open({ root: tree, kind: "metadata" }, ({ disc, at }) => disc.fill(0, at[which], at[which] + 2048));
    expectTree(container);
    if (which === "metadata") expect(notesOf(container)).toMatch(/mirror was used/);
  });

  test.each(["/", "folder", "many", "big.bin", "file 3.txt"])("whose entry of %s is damaged once", (name) => {
    const container = open({ root: tree, kind: "metadata" }, ({ disc, entries }) => {
      const [main = 0] = entries.get(name) ?? [];
      return disc.fill(0, main, main + 2048);
    });
    expectTree(container);
    expect(notesOf(container)).toMatch(/mirror/);
  });

  test("whose directory is damaged once", () => {
    const container = open({ root: tree, kind: "metadata" }, ({ disc }) => {
      const first = disc.indexOf("file 3.txt");
      disc.fill(0xff, first - 30, first);
      return disc;
    });
    expectTree(container);
    expect(notesOf(container)).toMatch(/mirror/);
  });

  test("whose both copies of an entry are damaged: that one fails, the others are there", () => {
    const container = open({ root: tree, kind: "metadata" }, ({ disc, entries }) => {
      for (const position of entries.get("small") ?? []) disc.fill(0, position, position + 2048);
      return disc;
    });
    expect(namesIn(container)).toContain("small");
    expect(() => read(container, "small")).toThrow(/no intact file entry/);
    expect(difference(read(container, "big.bin"), big)).toBeUndefined();
  });
});

describe("a sparable partition", () => {
  test("one of whose tables is damaged, and all of them", () => {
    const damage = (count: number) => () =>
      open({ root: tree, kind: "sparable", spared: [0, 2] }, ({ disc, at }) => {
        for (const position of at.sparing.slice(0, count)) disc.fill(0x11, position, position + 100);
        return disc;
      });
    const container = damage(1)();
    expectTree(container);
    expect(notesOf(container)).toMatch(/sparing table/i);
    expect(damage(2)).toThrow(/none of its sparing tables/);
  });
});

describe("a virtual partition", () => {
  const recipe: UdfRecipe = { root: tree, kind: "virtual" };

  test.each([0x0150, 0x0201])("of revision 0x%i, whose table is some blocks before the end", (revision) => {
    for (const blocks of [1, 2, 7, 150, 153, 300, 5000]) {
      const { disc } = buildUdf({ ...recipe, revision });
      expectTree(openDisc(Buffer.concat([disc, Buffer.alloc(blocks * 2048)])));
    }
  });

  test("tells the name and the numbers of files of its table", () => {
    const { details } = open(recipe).facts();
    expect(details).toMatchObject({ "volume name": "Ünïted 名 by VAT", files: 7, directories: 3, access: "write-once" });
  });

  test("that is cut has no table, or an older one", () => {
    const { disc, at } = buildUdf(recipe);
    expect(() => openDisc(disc.subarray(0, at.vat))).toThrow(/\(VAT\) is not there/);
    const more = Buffer.concat([disc, noise(1, 100 * 2048)]);
    const container = openDisc(more);
    expectTree(container);
    expect(notesOf(container)).toMatch(/older state/);
  });

  test("whose newest table is damaged", () => {
    const { disc, at } = buildUdf(recipe);
    const last = Buffer.from(disc.subarray(at.vat, at.vat + 2048)).fill(0, 300);
    last[216] = 0x12;
    const container = openDisc(Buffer.concat([disc, last]));
    expectTree(container);
    expect(notesOf(container)).toMatch(/older state/);
  });
});

describe("files", () => {
  test("of all kinds", () => {
    const container = open({
      root: [
        { name: "absolute", type: 12, content: udfPath([2], [5, "usr"], [5, "shäre"]) },
        { name: "relative", type: 12, content: udfPath([3], [4], [5, "文"]) },
        { name: "root", type: 12, content: udfPath([1]) },
        { name: "long", type: 12, content: udfPath(...Array.from({ length: 300 }, () => [5, "component"] as const)), allocation: "short" },
        { name: "nonsense", type: 12, content: Buffer.from([99, 0, 0, 0]) },
        { name: "fifo", type: 9 },
        { name: "socket", type: 10 },
        { name: "disk", type: 6, attributes: udfDeviceAttribute(8, 17) },
        { name: "terminal", type: 7, attributes: udfDeviceAttribute(5, 1), extended: false },
        { name: "real time", type: 249, content: small },
      ],
    });
    const items = [...container.list(container.root.id)].map(([name, { kind, target, device }]) => ({ name, kind, target, device }));
    expect(items).toMatchObject([
      { name: "absolute", kind: "symlink", target: "/usr/shäre" },
      { name: "relative", kind: "symlink", target: ".././文" },
      { name: "root", kind: "symlink", target: "/" },
      { name: "long", kind: "symlink", target: Array.from({ length: 300 }, () => "component").join("/") },
      { name: "nonsense", kind: "file" },
      { name: "fifo", kind: "fifo" },
      { name: "socket", kind: "socket" },
      { name: "disk", kind: "block device", device: { major: 8, minor: 17 } },
      { name: "terminal", kind: "character device", device: { major: 5, minor: 1 } },
      { name: "real time", kind: "file" },
    ]);
    listContainer(container, ["kind"]);
  });

  test("with permissions, owners, times and links, as far as they are recorded", () => {
    const time = Date.UTC(1999, 11, 31, 23, 59, 58, 990);
    const container = open({
      root: [
        { name: "plain", permissions: 0x7fff, uid: 0, gid: 70_000, links: 3, time: udfTime(time, -480) },
        { name: "script", permissions: 4 | (5 << 5) | (7 << 10), icbFlags: 0x40 | 0x100, time: udfTime(time, 330) },
        { name: "nothing", permissions: 0, time: Buffer.alloc(12) },
        { name: "no zone", time: udfTime(time, -2047), extended: false },
      ],
    });
    expect(find(container, "plain")).toMatchObject({ mode: 0o777, uid: 0, gid: 70_000, links: 3, modified: time });
    expect(find(container, "script")).toMatchObject({ mode: 0o5754, uid: undefined, gid: undefined, modified: time });
    expect(find(container, "nothing")).toMatchObject({ mode: undefined, modified: undefined });
    expect(find(container, "no zone")).toMatchObject({ modified: time });
  });

  test("with two names are one, with one number", () => {
    const container = open({
      root: [
        { name: "a", content: big, links: 2 },
        { name: "b", sameAs: "a" },
      ],
    });
    expect(find(container, "a")).toEqual(find(container, "b"));
    expect(find(container, "a").links).toBe(2);
  });

  test("deleted ones are not shown, hidden ones are", () => {
    const root = [
      { name: "gone", characteristics: 4, lost: true },
      { name: "hidden", characteristics: 1 },
      { name: "Non-Allocatable Space", characteristics: 1 },
    ];
    expect(namesIn(open({ root }))).toEqual(["hidden"]);
  });

  test("names that cannot be, or are there twice", () => {
    const long = "文".repeat(120);
    const root = [
      { name: "a/b\0c" },
      { name: ".." },
      { name: "same" },
      { name: "same", content: small },
      { name: "same" },
      { name: `${long}.txt` },
      { name: Buffer.from([16, 0xd8, 0x00, 0, 0x41]) },
      { name: Buffer.from([8]) },
    ];
    const container = open({ root });
    const names = namesIn(container);
    expect(names).toEqual(["a_bc", "__", "same", "same~2", "same~3", `${"文".repeat(83)}.txt`, "\ufffdA", "_"]);
    expect(difference(read(container, "same~2"), small)).toBeUndefined();
  });

  test("of strategy 4096: the last version", () => {
    for (const kind of kinds) {
      const root = [{ name: "file", content: big, olderVersions: [small, noise(5, 3000), noise(6, 3)], pieces: [4] }, ...tree.slice(1)];
      const container = open({ root, kind });
      expect(difference(read(container, "file"), big)).toBeUndefined();
      listContainer(container, ["size"]);
    }
  });

  test("longer than their pieces: what is missing is damaged, and no zeros", () => {
    for (const allocation of ["embedded", "short", "long"] as const) {
      const content = noise(1, 1000);
      const container = open({ root: [{ name: "file", content, size: 5000, allocation }] });
      expect(find(container, "file").size).toBe(5000);
      expect(kindsOf(container, "file")).toEqual(["data", "damaged"]);
    }
  });

  test("shorter than their pieces", () => {
    const container = open({ root: [{ name: "file", content: big, size: 5000, pieces: [1] }] });
    expect(difference(read(container, "file"), big.subarray(0, 5000))).toBeUndefined();
  });

  test("behind the end of a cut image: only those fail", () => {
    const { disc, at } = buildUdf({
      root: [
        { name: "a", content: small },
        { name: "z", content: big, pieces: [4], allocation: "short" },
      ],
      anchors: ["first"],
    });
    const container = openDisc(disc.subarray(0, at.partition + 100 * 2048 + 5));
    expect(difference(read(container, "a"), small)).toBeUndefined();
    expect(kindsOf(container, "z")).toEqual(["data", "damaged"]);
    expect(imageErrorOf(() => read(container, "z"))?.code).toBe("TRUNCATED");
  });

  test("without an entry are there, and fail", () => {
    const container = open({
      root: [
        { name: "file", lost: true },
        { name: "folder", lost: true, children: [] },
        { name: "ok", content: small },
      ],
    });
    expect(namesIn(container)).toEqual(["file", "folder", "ok"]);
    expect(find(container, "file")).toMatchObject({ kind: "file", size: 2048 });
    expect(() => read(container, "file")).toThrow(/no intact file entry/);
    expect(() => namesIn(container, "folder")).toThrow(/no intact file entry/);
    for (const name of namesIn(container)) expect(container.item(find(container, name).id)).toEqual(find(container, name));
  });
});

describe("named streams", () => {
  test.each(kinds)("of files, directories and the root (%s)", (kind) => {
    const container = open({
      kind,
      root: [
        {
          name: "file",
          content: small,
          streams: [
            { name: "note", content: big, pieces: [5] },
            { name: "*UDF Macintosh Resource Fork", content: noise(9, 99) },
          ],
        },
        { name: "folder", children: [{ name: "x" }], streams: [{ name: "Zone.Identifier", content: noise(8, 20) }] },
        {
          name: "quiet",
          streams: [
            { name: "*UDF NT ACL", content: small, characteristics: 16 },
            { name: "of a system", characteristics: 16 },
          ],
        },
      ],
      rootStreams: [{ name: "of root", content: noise(7, 7) }],
    });
    expect(namesIn(container)).toEqual([":of root", "file", "file:note", "file.rsrc", "folder", "folder:Zone.Identifier", "quiet"]);
    expect(difference(read(container, "file"), small)).toBeUndefined();
    expect(difference(read(container, "file:note"), big)).toBeUndefined();
    expect(difference(read(container, "file.rsrc"), noise(9, 99))).toBeUndefined();
    expect(difference(read(container, "folder:Zone.Identifier"), noise(8, 20))).toBeUndefined();
    expect(difference(read(container, ":of root"), noise(7, 7))).toBeUndefined();
    listContainer(container, ["kind", "sha256"]);
  });

  test("whose directory cannot be read are told of", () => {
    const container = open({ root: [{ name: "file", content: small, streams: [{ name: "note" }] }] }, ({ disc, entries }) => {
      const [position = 0] = entries.get("file:") ?? [];
      return disc.fill(0, position, position + 2048);
    });
    expect(namesIn(container)).toEqual(["file", "file:"]);
    expect(() => namesIn(container, "file:")).toThrow(/no intact file entry/);
  });
});

describe("hostile volumes", () => {
  test("directories that hold themselves, their parents, or the root", () => {
    const container = open({
      root: [
        {
          name: "a",
          children: [
            { name: "self", up: 0 },
            { name: "up", up: 1 },
            {
              name: "b",
              children: [
                { name: "up", up: 1 },
                { name: "root", up: 2 },
              ],
            },
          ],
        },
      ],
    });
    expect([...listContainer(container, ["kind"]).keys()]).toEqual(["a", "a/b"]);
    expect(notesOf(container)).toMatch(/holds itself/);
  });

  test("pieces and versions that lead back to themselves", () => {
    const { disc, entries } = buildUdf({
      root: [
        { name: "pieces", content: big, pieces: [1], perArea: 4, allocation: "short" },
        { name: "versions", content: small, olderVersions: [noise(5, 9)] },
      ],
    });
    const start = buildUdf({ root: [] }).at.partition;
    // The third-last descriptor of an area leads on; it is made to lead to its own block.
    for (let at = start; at + 2048 <= disc.length; at += 2048) {
      if (disc.readUInt16LE(at) === 258 && disc.readUInt32LE(at + 20) === 40) disc.writeUInt32LE((at - start) / 2048, at + 24 + 36);
      if (disc.readUInt16LE(at) === 259) disc.writeUInt32LE(((entries.get("versions")?.[0] ?? 0) - start) / 2048, at + 40);
      retag(disc, at);
    }
    const container = openDisc(disc);
    expect(() => read(container, "pieces")).toThrow(/no end/);
    expect(() => read(container, "versions")).toThrow(/no end/);
  });

  test("twenty thousand entries in few reads", () => {
    const children = Array.from({ length: 20_000 }, (_, index) => ({ name: `file number ${index}` }));
    for (const kind of ["physical", "metadata"] as const) {
      const source = memorySource("x", buildUdf({ root: [{ name: "d", children }], kind, sectorSize: 512 }).disc);
      let reads = 0;
      const counted = (target: Uint8Array, position: number): void => {
        reads += 1;
        source.read(target, position);
      };
      const container = udf.open({ ...source, read: counted }, alone);
      expect(container.list(find(container, "d").id).size).toBe(20_000);
      expect(reads).toBeLessThan(1500);
    }
  });

  test("no crash, no hang, no other error, whatever byte is changed", () => {
    for (const kind of kinds) {
      const built = buildUdf({
        kind,
        sectorSize: 512,
        spared: [0],
        root: [
          { name: "file", content: noise(1, 9000), pieces: [1, 2], perArea: 2, streams: [{ name: "s", content: small }] },
          { name: "versions", content: small, olderVersions: [noise(5, 9)] },
          {
            name: "d",
            children: [
              { name: "link", type: 12, content: udfPath([5, "x"]) },
              { name: "dev", type: 6, attributes: udfDeviceAttribute(1, 2) },
            ],
          },
        ],
      });
      const used = Array.from({ length: built.disc.length / 512 }, (_, sector) => sector).filter(
        (sector) => built.disc[sector * 512 + 2] === 3,
      );
      expect(used.length).toBeGreaterThan(15);
      let round = 0;
      for (const sector of used) {
        for (let at = 0; at < 512; at += 1 + ((round += 7) % 71)) {
          const position = sector * 512 + at;
          const before = built.disc[position] ?? 0;
          built.disc[position] = before ^ (1 << (round % 8)) ^ (round % 3 === 0 ? 0xff : 0);
          useAll(built.disc);
          built.disc[position] = before;
        }
      }
    }
  });

  test("cut anywhere", () => {
    for (const kind of kinds) {
      const { disc } = buildUdf({ root: tree, kind, spared: [0], sectorSize: 512 });
      for (let size = 0; size < disc.length; size += 3001) useAll(disc.subarray(0, size));
    }
  });
});

/** Every run is of the range that was asked for, and of the disc. */
function mapAll({ map, size }: Content, discSize: number): void {
  for (let offset = 0, left = 100; offset < size && left > 0; left -= 1) {
    const extent = map(offset, size - offset);
    if (!(extent.length >= 1 && extent.length <= size - offset)) throw new Error(`a run of ${extent.length} bytes`);
    if (extent.kind === "data" && !(extent.position >= 0 && extent.position + extent.length <= discSize))
      throw new Error("a run that is not there");
    offset += extent.length;
  }
}

/** Lists and maps all that can be; passes on everything but an `ImageError`. */
function useAll(disc: Buffer): void {
  let left = 200;
  imageErrorOf(() => {
    const source = memorySource("x", disc);
    if (!udf.probe(source)) return;
    const container = udf.open(source, alone);
    const walk = (item: Item): void => {
      for (const next of container.list(item.id).values()) {
        left -= 1;
        if (left < 0) return;
        expect(container.item(next.id) ?? next).toEqual(next);
        if (next.kind === "directory") imageErrorOf(() => walk(next));
        else imageErrorOf(() => mapAll(container.content(next.id), disc.length));
      }
    };
    walk(container.root);
    container.facts();
  });
}
