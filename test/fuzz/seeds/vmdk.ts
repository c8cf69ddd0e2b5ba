import { noise } from "../../support/content.js";
import { buildCowd, buildHosted, buildSeSparse, descriptorText } from "../../support/vmdk-builder.js";
import { descriptor } from "../../support/vmdk-descriptor-builder.js";
import { buildStream } from "../../support/vmdk-stream-builder.js";
import { type Input, inputOf } from "../input.js";

export function vmdk(): readonly Input[] {
  const hosted = buildHosted({ grains: [1, "absent", 0, "zeroed"], grainSize: 8, tableEntries: 512, redundant: true });
  const small = buildHosted({ grains: [0, "absent"], grainSize: 8, descriptor: "", seed: 2 });
  const cowd = buildCowd({ grains: [1, "absent", 0], grainSize: 1 });
  const se = buildSeSparse({ grains: [1, "absent", 0, "zeroed", "unmapped"] });
  const child = buildHosted({
    grains: ["absent", 0],
    grainSize: 8,
    descriptor: descriptor({
      createType: "monolithicSparse",
      parentCid: "12345678",
      keys: ['parentFileNameHint="base.vmdk"'],
      lines: ['RW 16 SPARSE "a.vmdk"'],
    }).toString(),
  });
  const flat = noise(5, 4096);
  const split = descriptor({
    createType: "twoGbMaxExtentFlat",
    lines: [
      'RW 4 FLAT "f001.vmdk" 0',
      "RW 8 ZERO",
      'RW 4 FLAT "f001.vmdk" 4',
      `RW ${hosted.disk.length / 512} SPARSE "s001.vmdk"`,
      'RW 2 NOACCESS "x"',
    ],
    ddb: ['ddb.longContentID = "0123456789abcdef0123456789abcdef"', 'ddb.uuid = "60 00 C2 9a"', 'ddb.geometry.cylinders = "4"'],
  });
  return [
    inputOf({ "a.vmdk": hosted.image }),
    inputOf({ "a.vmdk": small.image }),
    inputOf({ "a.vmdk": cowd.image }),
    inputOf({ "a.vmdk": se.image }),
    inputOf({ "a.vmdk": buildStream({ grains: ["text", "absent", "noise", "zeroed"], grainSize: 2, tableEntries: 2 }).image }),
    inputOf({
      "a.vmdk": buildStream({ grains: ["text", "noise", "absent"], tables: "end", grainSize: 1, without: "footer", progress: true }).image,
    }),
    inputOf({ "a.vmdk": buildStream({ grains: ["text", "text"], tables: "front", markers: false, grainSize: 1, tableEntries: 4 }).image }),
    inputOf({ "a.vmdk": split, "f001.vmdk": flat, "s001.vmdk": hosted.image }),
    inputOf({
      "a.vmdk": descriptor({
        createType: "vmfsSparse",
        parentCid: "12345678",
        keys: ['parentFileNameHint="base.vmdk"', 'encoding="UTF-8"'],
        lines: [`RW ${cowd.disk.length / 512} VMFSSPARSE "c.vmdk"`],
      }),
      "c.vmdk": cowd.image,
      "base.vmdk": descriptor({ lines: ['RW 8 FLAT "f001.vmdk" 0'] }),
      "f001.vmdk": flat,
    }),
    inputOf({
      "a.vmdk": descriptor({ createType: "seSparse", lines: [`RW ${se.disk.length / 512} SESPARSE "se.vmdk"`] }),
      "se.vmdk": se.image,
    }),
    inputOf({ "a.vmdk": child.image, "base.vmdk": descriptorText("monolithicFlat", 8, "FLAT", "f001.vmdk"), "f001.vmdk": flat }),
  ];
}
