// What discs of the field have that readers trip over, and no program at hand writes.
import { describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { openIso } from "../../src/containers/iso9660/index.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { both32, buildIso, type IsoRecipe, susp } from "../support/iso-builder.js";
import { difference } from "../support/reading.js";
import { contentOf } from "../support/trees.js";

function open(recipe: IsoRecipe, change: (disc: Buffer) => void = () => undefined): Container {
  const disc = buildIso(recipe);
  change(disc);
  return openIso(memorySource("disc.iso", disc));
}

const files = (container: Container) =>
  [...container.list(container.root.id)].map(([name, { id, size }]) => [name, size, contentOf(container, id)] as const);

describe("ISO 9660 as it is met", () => {
  const content = noise(1, 5000);

  test("numbers in both byte orders that disagree: the little-endian ones count", () => {
    const container = open({ records: [{ name: "A.BIN;1", content }] }, (disc) => {
      const record = disc.indexOf("A.BIN;1", 24 * 2048, "latin1") - 33;
      disc.writeUInt32BE(1, record + 6);
      disc.writeUInt32BE(7, record + 14);
      // The size of the volume, of its blocks, and where the root directory is.
      for (const at of [84, 156 + 6, 156 + 14]) disc.writeUInt32BE(3, 16 * 2048 + at);
      disc.writeUInt16BE(512, 16 * 2048 + 130);
    });
    expect(files(container).map(([name, size]) => [name, size])).toEqual([["a.bin", 5000]]);
    expect(difference(files(container)[0]?.[2] ?? Buffer.alloc(0), content)).toBeUndefined();
  });

  test("an empty file may be said to be anywhere", () => {
    const records = [
      { name: "EMPTY.;1", content: Buffer.alloc(0) },
      { name: "FULL.;1", content },
    ];
    const container = open({ records }, (disc) => {
      const record = disc.indexOf("EMPTY.;1", 24 * 2048, "latin1") - 33;
      both32(0xffff_fff0).copy(disc, record + 2);
    });
    expect(files(container).map(([name, size]) => [name, size])).toEqual([
      ["empty", 0],
      ["full", 5000],
    ]);
  });

  test.each([0, 7, 14])("%i bytes before the System Use entries of every record are passed over", (skip) => {
    // CD-ROM XA has 14 of its own in front, before SP as well; SP itself may come first, and the others behind that many bytes.
    const before = Buffer.alloc(skip, 0x41);
    const name = susp("NM", Buffer.concat([Buffer.from([0]), Buffer.from("a long Name")]));
    const mode = susp("PX", Buffer.concat([0o100640, 1, 1, 2].map(both32)));
    const sp = susp("SP", Buffer.from([0xbe, 0xef, skip]));
    const container = open({
      rootUse: Buffer.concat([skip === 14 ? before : Buffer.alloc(0), sp]),
      records: [{ name: "A.;1", content, systemUse: Buffer.concat([before, name, mode]) }],
    });
    expect([...container.list(container.root.id)]).toMatchObject([["a long Name", { mode: 0o640, uid: 1, gid: 2 }]]);
  });

  test.each([
    ["1.10", []],
    ["1.12, with a serial number", [77]],
  ])("PX of Rock Ridge %s", (_, serial) => {
    const mode = susp("PX", Buffer.concat([0o100600, 1, 3, 4, ...serial].map(both32)));
    const sp = susp("SP", Buffer.from([0xbe, 0xef, 0]));
    const container = open({ rootUse: sp, records: [{ name: "A.;1", content, systemUse: mode }] });
    expect([...container.list(container.root.id).values()]).toMatchObject([{ mode: 0o600, uid: 3, gid: 4 }]);
  });

  test.each([
    ["7 bytes", 0x0e, Buffer.from([121, 5, 6, 7, 8, 9, 0]), Date.UTC(2021, 4, 6, 7, 8, 9)],
    ["17 bytes", 0x8e, Buffer.from("2021050607080950\0", "latin1"), Date.UTC(2021, 4, 6, 7, 8, 9, 500)],
  ])("TF with stamps of %s: the second is that of the last change", (_, flags, stamp, time) => {
    const other = Buffer.alloc(stamp.length);
    // Bits are creation, modification, access, attributes: modification, access and attributes are here.
    const times = susp("TF", Buffer.concat([Buffer.from([flags]), stamp, other, other]));
    const sp = susp("SP", Buffer.from([0xbe, 0xef, 0]));
    const mode = susp("PX", Buffer.concat([0o100600, 1, 3, 4].map(both32)));
    const container = open({ rootUse: sp, records: [{ name: "A.;1", content, systemUse: Buffer.concat([mode, times]) }] });
    expect([...container.list(container.root.id).values()]).toMatchObject([{ modified: time }]);
  });
});
