// Differences: how a VMDK names its parent, and how that one is known.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener, ParentWish } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { vmdk } from "../../src/formats/vmdk/index.js";
import { memorySource } from "../../src/source/memory.js";
import type { Source } from "../../src/source/source.js";
import { noise } from "../support/content.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVdi } from "../support/vdi-builder.js";
import { buildCowd, buildHosted } from "../support/vmdk-builder.js";
import { type DescriptorShape, descriptor } from "../support/vmdk-descriptor-builder.js";
import { buildStream } from "../support/vmdk-stream-builder.js";

const SECTOR = 512;
const directory = tempDirectory();
const content = noise(31, 8 * SECTOR);
const UUID = "6386fe41-7f5c-49b6-930f-1bb7dd811603";
const NO_UUID = "00000000-0000-0000-0000-000000000000";

/** A difference of 8 sectors that holds only the one numbered 2. */
const own = buildCowd({ grains: ["absent", "absent", 0, ...Array<"absent">(5).fill("absent")], parent: "base.vmdk" });
const expected = Buffer.concat([content.subarray(0, 2 * SECTOR), own.disk.subarray(2 * SECTOR, 3 * SECTOR), content.subarray(3 * SECTOR)]);

const top = (shape: Omit<DescriptorShape, "lines">) =>
  descriptor({ lines: ['RW 8 VMFSSPARSE "top-delta.vmdk"'], createType: "vmfsSparse", ...shape });
const base = (shape: Omit<DescriptorShape, "lines">) => descriptor({ lines: ['RW 8 VMFS "base-flat.vmdk"'], createType: "vmfs", ...shape });
const hint = (name: string) => `parentFileNameHint="${name}"`;

/** Writes `top.vmdk` with its extent, the extent of base, and more; gives the path of `top.vmdk`. */
function write(image: Uint8Array, more: Readonly<Record<string, Uint8Array>>): string {
  const home = subdirectory(directory);
  const files = { "top.vmdk": image, "top-delta.vmdk": own.image, "base-flat.vmdk": content, ...more };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(home, name), bytes);
  return join(home, "top.vmdk");
}

/** What an image wishes for; undefined if it is complete. */
function wishOf(image: Uint8Array): ParentWish | undefined {
  let wish: ParentWish | undefined;
  const opener: Opener = {
    degraded: false,
    part: (name) => memorySource(name, own.image),
    parent(wanted) {
      wish = wanted;
      return raw.open(memorySource("parent", content), opener, {});
    },
  };
  const layer = vmdk.open(memorySource("top.vmdk", image), opener, {});
  expect(layer.parent !== undefined).toBe(wish !== undefined);
  layer.close();
  return wish;
}

function identitiesOf(image: Uint8Array): readonly string[] {
  return (vmdk.identities?.(memorySource("x.vmdk", image)) ?? []).map(({ kind, value }) => `${kind} ${value}`);
}

describe("what an image wishes for", () => {
  const wish = (shape: Omit<DescriptorShape, "lines">) => wishOf(top(shape));

  test("a name and a CID, in one spelling", () => {
    for (const parentCid of ["0000ABCD", "abcd", "0xabcd", "0xABCD", '"0000abcd"', " abcd "]) {
      expect(wish({ parentCid, keys: [hint("base.vmdk")] })).toEqual({
        names: ["base.vmdk"],
        format: "vmdk",
        identities: [{ kind: "CID", value: "0000abcd" }],
      });
    }
  });

  test("nothing, if its parentCID says that it has no parent", () => {
    expect(wish({ parentCid: "ffffffff", keys: [hint("base.vmdk")], ddb: [`ddb.uuid.parent="${NO_UUID}"`] })).toBeUndefined();
    expect(wish({ parentCid: "FFFFFFFF" })).toBeUndefined();
    expect(wish({ parentCid: null })).toBeUndefined();
  });

  test("a CID without a name, a name without a CID", () => {
    expect(wish({ parentCid: "abcd" })).toEqual({ names: [], format: "vmdk", identities: [{ kind: "CID", value: "0000abcd" }] });
    expect(wish({ parentCid: null, keys: [hint("base.vmdk")] })).toEqual({ names: ["base.vmdk"], format: "vmdk" });
  });

  test.each(["ffffffff", "fffffffe", null])("VirtualBox' parent UUID where the parentCID is %s: an image of any format", (parentCid) => {
    expect(wish({ parentCid, ddb: [`ddb.uuid.parent="${UUID.toUpperCase()}"`] })).toEqual({
      names: [],
      identities: [{ kind: "UUID", value: UUID }],
    });
  });

  test("a name alone where the CID is that of all images that were never changed", () => {
    expect(wish({ parentCid: "FFFFFFFE", keys: [hint("base.vmdk")] })).toEqual({ names: ["base.vmdk"], format: "vmdk" });
  });

  test("a CID that tells counts more than the UUID", () => {
    expect(wish({ parentCid: "abcd", ddb: [`ddb.uuid.parent="${UUID}"`] })?.identities).toEqual([{ kind: "CID", value: "0000abcd" }]);
  });

  test("the name in every reading", () => {
    const image = top({ parentCid: "abcd", keys: [hint("größe.vmdk"), 'encoding="windows-1252"'] });
    expect(wishOf(image)?.names).toEqual(["grÃ¶ÃŸe.vmdk", "größe.vmdk"]);
  });

  test.each(["xyz", "123456789", "", "-1"])("a parentCID %j is refused: what is absent may be a parent's", (parentCid) => {
    const error = imageErrorOf(() => wish({ parentCid }));
    expect(error).toMatchObject({ code: "CORRUPT", file: "top.vmdk", message: expect.stringContaining("parentCID") as string });
  });
});

describe("what an image is known by", () => {
  test("its CID and its UUID", () => {
    expect(identitiesOf(base({ cid: "ABCD", ddb: [`ddb.uuid.image="${UUID}"`] }))).toEqual(["CID 0000abcd", `UUID ${UUID}`]);
    expect(identitiesOf(base({ cid: "xyz", ddb: [`ddb.uuid.image="${NO_UUID}"`] }))).toEqual([]);
    expect(identitiesOf(base({ ddb: ["ddb.uuid.image=60 00 C2 94 44 3e"] }))).toEqual(["CID 12345678"]);
  });

  test("an embedded descriptor; one without has nothing", () => {
    const text = base({ cid: "abcd" }).toString();
    expect(identitiesOf(buildHosted({ grains: [0], descriptor: text }).image)).toEqual(["CID 0000abcd"]);
    expect(identitiesOf(buildHosted({ grains: [0] }).image)).toEqual([]);
    expect(identitiesOf(own.image)).toEqual([]);
  });

  test("a stream, of which nothing is read but header and descriptor, whether or not it has a footer", () => {
    for (const without of ["footer", "end of stream", undefined] as const) {
      const { image } = buildStream({
        grains: ["noise", "text"],
        descriptor: base({ cid: "abcd" }).toString(),
        ...(without && { without }),
      });
      const inner = memorySource("x.vmdk", image);
      let furthest = 0;
      const source: Source = {
        ...inner,
        read(target, position) {
          furthest = Math.max(furthest, position + target.length);
          inner.read(target, position);
        },
      };
      expect(vmdk.identities?.(source)).toEqual([{ kind: "CID", value: "0000abcd" }]);
      expect(furthest).toBeLessThanOrEqual(21 * SECTOR);
    }
  });
});

describe("chains", () => {
  const reads = (path: string, disk: Uint8Array = expected) => expect(difference(flatOf(path), disk)).toBeUndefined();

  test("a CID that nobody has is refused, and so is one of no name", () => {
    const image = top({ parentCid: "abcd", keys: [hint("base.vmdk")] });
    reads(write(image, { "base.vmdk": base({ cid: "abcd" }) }));
    expect(refusalOf(write(image, { "base.vmdk": base({ cid: "abce" }) }))).toMatchObject({ code: "PART_MISSING" });
    expect(refusalOf(write(image, {}))).toMatchObject({ code: "PART_MISSING" });
  });

  test("a parent whose content was never changed: its CID says so, and tells when it was changed after all", () => {
    const image = top({ cid: "fffffffe", parentCid: "fffffffe", keys: [hint("base.vmdk")] });
    reads(write(image, { "base.vmdk": base({ cid: "fffffffe" }) }));
    const changed = refusalOf(write(image, { "base.vmdk": base({ cid: "abcd" }) }));
    expect(changed).toMatchObject({ code: "PART_MISSING", message: expect.stringMatching(/changed since .*0000abcd/) as string });
    expect(refusalOf(write(image, { "base.vmdk": base({ cid: "xyz" }) }))).toMatchObject({ code: "PART_MISSING" });
  });

  test("another image that was never changed, of which there may be many, is not taken for the parent", () => {
    const image = top({ cid: "fffffffe", parentCid: "fffffffe", keys: [hint("base.vmdk")] });
    const other = { "other.vmdk": base({ cid: "fffffffe" }) };
    expect(refusalOf(write(image, other))).toMatchObject({ code: "PART_MISSING" });
    expect(refusalOf(write(image, { ...other, "base.vmdk": base({ cid: "abcd" }) }))).toMatchObject({ code: "PART_MISSING" });
    expect(refusalOf(write(top({ parentCid: "fffffffe" }), other))).toMatchObject({ code: "PART_MISSING" });
    const path = write(image, other);
    expect(difference(flatOf(path, { parents: [path.replace("top.vmdk", "other.vmdk")] }), expected)).toBeUndefined();
  });

  test("VirtualBox' differencing image over a VMDK, though it says parentCID=ffffffff", () => {
    const image = top({ ddb: [`ddb.uuid.parent="${UUID}"`] });
    reads(
      write(image, {
        "{some}.vmdk": base({ ddb: [`ddb.uuid.image="${UUID}"`] }),
        "other.vmdk": base({ ddb: [`ddb.uuid.image="${NO_UUID}"`] }),
      }),
    );
    expect(refusalOf(write(image, { "other.vmdk": base({}) }))).toMatchObject({ code: "PART_MISSING" });
  });

  test("VirtualBox' differencing image over a VDI", () => {
    const vdi = buildVdi({ blocks: [3, 1, "zero", 0, 2], id: UUID, blockSize: 1024 });
    const path = write(top({ ddb: [`ddb.uuid.parent="${UUID}"`] }), { "base.vdi": vdi.image });
    const disk = Buffer.from(vdi.disk.subarray(0, 8 * SECTOR));
    own.disk.copy(disk, 2 * SECTOR, 2 * SECTOR, 3 * SECTOR);
    reads(path, disk);
    withDisk(path, {}, (layer: Layer) => expect(layer.parent?.format).toBe("vdi"));
  });

  test.each(["C:\\vm\\base.vmdk", "..\\vm\\base.vmdk", "[datastore1] vm/base.vmdk", "[datastore1] base.vmdk", "/vmfs/volumes/x/base.vmdk"])(
    "a parent recorded as %s is the file beside",
    (name) => {
      reads(write(top({ parentCid: "abcd", keys: [hint(name)] }), { "base.vmdk": base({ cid: "abcd" }) }));
    },
  );

  test("a parent whose name is in another encoding", () => {
    const [before = "", after = ""] = top({ parentCid: "abcd", keys: [hint("@")] })
      .toString("latin1")
      .split("@");
    const image = Buffer.concat([Buffer.from(before), Buffer.from("größe.vmdk", "latin1"), Buffer.from(after)]);
    const path = write(image, { "größe.vmdk": base({ cid: "abcd" }) });
    reads(path);
  });

  test("the parent of several extents is asked for the place of the disk, not of the extent", () => {
    const lines = ["RW 2 ZERO", 'RW 8 VMFSSPARSE "top-delta.vmdk"'];
    const path = write(descriptor({ lines, parentCid: "abcd", keys: [hint("base.vmdk")] }), { "base.vmdk": base({ cid: "abcd" }) });
    const disk = Buffer.concat([Buffer.alloc(2 * SECTOR), content.subarray(2 * SECTOR), Buffer.alloc(2 * SECTOR)]);
    own.disk.copy(disk, 4 * SECTOR, 2 * SECTOR, 3 * SECTOR);
    reads(path, disk);
  });

  test("a delta given instead of its descriptor leads to that, and to its parent", () => {
    const path = write(top({ parentCid: "abcd", keys: [hint("base.vmdk")] }), { "base.vmdk": base({ cid: "abcd" }) });
    reads(path.replace("top.vmdk", "top-delta.vmdk"));
    expect(refusalOf(write(base({}), { "lost-delta.vmdk": own.image }).replace("top.vmdk", "lost-delta.vmdk"))).toMatchObject({
      code: "PART_MISSING",
      message: expect.stringContaining("lost.vmdk") as string,
    });
  });

  test("without its parent, and --degraded, only what the parent has cannot be read", () => {
    const path = write(top({ parentCid: "abcd", keys: [hint("base.vmdk")] }), {});
    withDisk(path, { degraded: true }, (layer) => {
      expect(difference(readRange(layer, 2 * SECTOR, SECTOR), expected.subarray(2 * SECTOR, 3 * SECTOR))).toBeUndefined();
      for (const offset of [0, 2 * SECTOR - 1, 3 * SECTOR, 8 * SECTOR - 1]) {
        expect(imageErrorOf(() => readRange(layer, offset, 1))?.code, `${offset}`).toBe("PART_MISSING");
      }
    });
  });
});
