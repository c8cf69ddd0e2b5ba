import { noise } from "../../support/content.js";
import { buildVhd, type VhdShape, wide } from "../../support/vhd-builder.js";
import { buildVhdx, expectedVhdx, guids, locatorBytes, MIB, type VhdxShape, vhdxImage } from "../../support/vhdx-builder.js";
import { withLog } from "../../support/vhdx-log-builder.js";
import { type Input, inputOf } from "../input.js";

const ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

export function vhd(): readonly Input[] {
  const one = (shape: VhdShape, parts: Readonly<Record<string, Uint8Array>> = {}) => inputOf({ "a.vhd": buildVhd(shape).image, ...parts });
  const base = buildVhd({ blocks: [0, "free", 1], blockSize: 1024, id: ID });
  const parent = { id: ID, disk: base.disk, name: "base.vhd", timeStamp: 1 };
  return [
    one({ blocks: [1, "free", 0], blockSize: 1024 }),
    one({
      blocks: [2, 0, "free", 1],
      blockSize: 4096,
      marked: (block, sector) => (block + sector) % 3 === 0,
      size: 14_336,
      spare: 2,
      gap: 512,
    }),
    one({ type: 2, blocks: [0, 1, 2], blockSize: 512, padding: 0 }),
    one({ type: 2, blocks: [0, 1], blockSize: 512, creator: "win ", geometry: [1, 1, 2] }),
    one({ blocks: [0, 1], blockSize: 2048, footer: 511, savedState: true, hidden: true }),
    one({ blocks: [1, 0], blockSize: 2048, footer: 0, creator: "tap\0", batmap: true, reversed: true }),
    one(
      { blocks: ["free", 0, "free"], blockSize: 1024, parent: { ...parent, locators: [{ code: "W2ru", content: wide(".\\base.vhd") }] } },
      { "base.vhd": base.image },
    ),
    one(
      {
        blocks: ["free", 0, "free"],
        blockSize: 1024,
        parent: {
          ...parent,
          locators: [
            { code: "W2ku", content: wide("C:\\vm\\base.vhd") },
            { code: "MacX", content: Buffer.from("file://localhost/base.vhd") },
            { code: "Wi2r", content: Buffer.from("base.vhd") },
          ],
        },
      },
      { "base.vhd": base.image },
    ),
  ];
}

/** A block with something at its start. */
const block = (seed: number) => Buffer.concat([noise(seed, 700), Buffer.alloc(MIB - 700)]);

export function vhdx(): readonly Input[] {
  const absent = { state: 0 } as const;
  const baseShape: VhdxShape = { blocks: [block(11), absent], noLog: true };
  const base = buildVhdx(baseShape);
  const entries = {
    parent_linkage: `{${base.dataWriteGuid}}`,
    relative_path: "..\\base.vhdx",
    absolute_win32_path: "C:\\base.vhdx",
  };
  const plain: VhdxShape = { blocks: [block(1), absent, block(2), { state: 2 }, { state: 3 }], seed: 4 };
  const logged = buildVhdx({ blocks: [block(21), absent], lastBlockBytes: 4096 });
  const content = Buffer.alloc(4096);
  content.writeBigUInt64LE(BigInt(logged.positions.blocks.get(0) ?? 0) | 6n, 8);
  const entry = {
    start: 8192,
    sequence: 5n,
    tail: 8192,
    writes: [
      { at: logged.positions.bat, content },
      { at: 3 * MIB, zeros: 4096 },
    ],
    flushed: logged.fileSize,
    last: logged.fileSize,
  };
  return [
    inputOf({ "a.vhdx": vhdxImage(buildVhdx(plain)) }),
    inputOf({ "a.vhdx": vhdxImage(buildVhdx({ ...plain, noLog: true, sector: 4096, physicalSector: 4096, fixed: true })) }),
    inputOf({
      "a.vhdx": vhdxImage(
        buildVhdx({
          blocks: [absent, { content: block(5), here: (sector) => sector % 3 === 0 }],
          parent: { disk: expectedVhdx(baseShape), entries },
          noLog: true,
        }),
      ),
      "base.vhdx": vhdxImage(base),
    }),
    inputOf({ "a.vhdx": withLog(vhdxImage(logged), logged, [entry, { ...entry, start: 20_480, sequence: 6n, tail: 8192 }]) }),
    inputOf({
      "a.vhdx": vhdxImage(
        buildVhdx({
          blocks: [block(7)],
          noLog: true,
          items: [{ guid: guids.locator, content: locatorBytes(entries), flags: 0 }],
        }),
      ),
    }),
  ];
}
