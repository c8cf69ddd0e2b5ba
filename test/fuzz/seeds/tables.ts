import { apm, bootRecord, extendedChain, fatBootSector, gpt, type Piece } from "../../support/partition-builder.js";
import {
  disklabel,
  dmRaidSuper,
  dynamicDisk,
  lvmUuid,
  mdSuper0,
  mdSuper1,
  physicalVolume,
  solarisLabel,
  stripes,
  sunLabel,
  vgText,
} from "../../support/volume-builder.js";
import { type Input, inputOf } from "../input.js";

const MIB = 2 ** 20;
const size = 8 * MIB;
const sectors = size / 512;

function diskOf(pieces: readonly Piece[], length = size): Input {
  const disk = Buffer.alloc(length);
  for (const { at, content } of pieces) disk.set(content.subarray(0, Math.max(0, length - at)), at);
  return inputOf({ "a.raw": disk });
}

export function partitions(): readonly Input[] {
  const entries = [
    { number: 1, first: 64, last: 100, name: "one" },
    { number: 3, first: 200, last: 300, type: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", attributes: 4n },
  ];
  const chain = [
    {
      at: 0,
      content: bootRecord([{ type: 0x83, start: 2, count: 2, indicator: 0x80 }, undefined, { type: 5, start: 8, count: 30 }], 0x1234),
    },
  ];
  const map = [
    { name: "Apple", type: "Apple_partition_map", start: 1, count: 3 },
    { name: "disk", type: "Apple_HFS", start: 8, count: 4 },
  ] as unknown as Parameters<typeof apm>[0];
  return [
    diskOf(gpt({ diskSize: 2 ** 18, entries, entryCount: 8 }), 2 ** 18),
    diskOf(
      gpt({ diskSize: 2 ** 20, sectorSize: 4096, entries: entries.map((entry) => ({ ...entry, first: 20, last: 30 })), entryCount: 32 }),
      2 ** 20,
    ),
    diskOf(
      [
        ...gpt({ diskSize: 2 ** 18, entries, entryCount: 128 }).slice(0, 4),
        {
          at: 0,
          content: bootRecord([
            { type: 0xee, start: 1, count: 9 },
            { type: 0x83, start: 64, count: 37 },
          ]),
        },
      ],
      2 ** 18,
    ),
    diskOf([...chain, ...extendedChain(8, 3)], 2 ** 16),
    diskOf(apm(map), 2 ** 14),
    diskOf(apm(map, { blockSize: 2048, mapBlockSize: 512 }), 2 ** 15),
    diskOf([{ at: 0, content: fatBootSector() }], 2 ** 14),
  ];
}

const oneOf = (type: number, start = 2048, count = 12_288): Piece => ({ at: 0, content: bootRecord([{ type, start, count }]) });

export function volumes(): readonly Input[] {
  const pv = { at: MIB, size: 6 * MIB, uuid: lvmUuid("AAAA"), areaSize: 64 * 1024 } as const;
  const raid = ["r_rmeta_0", "r_rimage_0", "r_rmeta_1", "r_rimage_1"];
  const vg = vgText({
    pvs: [{ uuid: pv.uuid, extents: 40 }],
    extentSize: 128,
    volumes: [
      {
        name: "root",
        extents: [3, 4],
        segments: [
          stripes([["pv0", 0]]),
          stripes(
            [
              ["pv0", 10],
              ["pv0", 20],
            ],
            16,
          ),
        ],
      },
      { name: "r", extents: [2], segments: [[`type = "raid1"`, "device_count = 2", `raids = ["${raid.join('", "')}"]`]] },
      ...raid.map((name, index) => ({ name, hidden: true, extents: [2], segments: [stripes([["pv0", 30 + index * 2]])] })),
    ],
  });
  const dynamic = {
    publicStart: 63,
    publicSize: sectors - 63 - 2048,
    privateStart: sectors - 2048,
    headers: [6, sectors - 1],
    disks: [{ id: 1, name: "Disk1", guid: "0e1d2c3b-0001-0002-0003-0a0b0c0d0e0f" }],
    volumes: [
      {
        name: "Volume1",
        size: 100,
        components: [
          {
            layout: 2,
            partitions: [
              { start: 1000, offset: 0, size: 60, disk: 1 },
              { start: 100, offset: 60, size: 40, disk: 1 },
            ],
          },
        ],
      },
    ],
  } as const;
  return [
    diskOf([
      oneOf(0xa6),
      {
        at: MIB + 512,
        content: disklabel(
          [
            { index: 0, start: 2100, size: 500 },
            { index: 5, start: 3000, size: 90 },
          ],
          { version: 1 },
        ),
      },
    ]),
    diskOf([{ at: 512, content: disklabel([{ index: 0, start: 16, size: 500 }], { endian: "big" }) }], 2 ** 19),
    diskOf([oneOf(0xbf), { at: MIB + 512, content: solarisLabel([{ index: 0, tag: 2, start: 9, size: 500 }]) }]),
    diskOf(
      [
        {
          at: 0,
          content: sunLabel([
            { index: 0, tag: 2, start: 1, size: 500 },
            { index: 7, tag: 2, start: 9, size: 50 },
          ]),
        },
      ],
      2 ** 20,
    ),
    diskOf([oneOf(0x8e), ...physicalVolume({ ...pv, text: vg }), { at: MIB + 30 * 65_536, content: dmRaidSuper() }]),
    diskOf([oneOf(0xfd), { at: MIB + 4096, content: mdSuper1({ superOffset: 8, dataOffset: 2048, size: 5000 }) }]),
    diskOf([oneOf(0xfd), { at: MIB + 6 * MIB - 65_536, content: mdSuper0({ size: 4000 }) }]),
    diskOf([oneOf(0x42, 63, sectors - 63 - 2048), ...dynamicDisk(dynamic)]),
  ];
}
