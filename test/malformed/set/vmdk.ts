// VMware's disks with damage. Positions: "Virtual Disk Format 5.0", VMware.
import { mixed } from "../../support/content.js";
import { buildHosted, descriptorText } from "../../support/vmdk-builder.js";
import { descriptor } from "../../support/vmdk-descriptor-builder.js";
import { buildStream } from "../../support/vmdk-stream-builder.js";
import { cut, damaged, type Range, samplesOf, SECRET_NAME } from "../sample.js";

const GRAIN = 65_536;
const COUNT = 16;
const range = (grain: number): Range => [grain * GRAIN, (grain + 1) * GRAIN];

export function vmdkSamples() {
  const grains = Array.from({ length: COUNT }, (_, index) => (index === 9 ? ("absent" as const) : index));
  const text = descriptorText("monolithicSparse", (COUNT * GRAIN) / 512, "SPARSE", "disk.vmdk");
  const { image, disk, tables, directory, data } = buildHosted({ grains, grainSize: 128, redundant: true, seed: 0, descriptor: text });
  const { samples, known, lost } = samplesOf("vmdk", "disk.vmdk", disk);
  const entry = (grain: number) => (tables[0] ?? 0) + 4 * grain;
  const change = (position: number, value: number) => damaged(image, (copy) => copy.writeUInt32LE(value, position));
  const wide = (position: number, value: bigint) => damaged(image, (copy) => copy.writeBigUInt64LE(value, position));
  known("nothing damaged", image);
  for (const share of [0.5, 0.9]) {
    const rest = cut(image, share);
    known(
      `cut at ${share * 100} %`,
      rest,
      grains.flatMap((slot, grain): Range[] => {
        if (slot === "absent") return [];
        const left = Math.max(0, Math.min(GRAIN, rest.length - (data + slot * GRAIN)));
        return left === GRAIN ? [] : [[grain * GRAIN + left, (grain + 1) * GRAIN]];
      }),
    );
  }
  known("a grain table entry behind the end", change(entry(3), 0x7fffff00), [range(3)]);
  const twice = Buffer.from(disk);
  disk.copy(twice, 3 * GRAIN, 4 * GRAIN, 5 * GRAIN);
  known("two grain table entries for one grain", change(entry(3), image.readUInt32LE(entry(4))), [], undefined, twice);
  known("a directory entry behind the end, its copy whole", change(directory, 0x7fffff00));
  known(
    "marked as not closed",
    damaged(image, (copy) => copy.writeUInt8(1, 72)),
  );
  known(
    "line ends changed by a text transfer",
    damaged(image, (copy) => copy.writeUInt8(0x0d, 73)),
  );
  lost("capacity of 2^62 sectors", wide(12, 2n ** 62n));
  lost("grain size 0", wide(20, 0n));
  lost("grain size 3", wide(20, 3n));
  lost("grain tables without entries", change(44, 0));
  lost(
    "both directories behind the end",
    damaged(image, (copy) => {
      copy.writeBigUInt64LE(2n ** 40n, 48);
      copy.writeBigUInt64LE(2n ** 40n, 56);
    }),
  );
  lost("version 99", change(4, 99));
  lost("magic destroyed", change(0, 0));
  lost("cut in its header", image.subarray(0, 60));
  return samples;
}

export function vmdkStreamSamples() {
  const grains = Array.from({ length: COUNT }, () => "text" as const);
  const built = buildStream({ grains, grainSize: 128 });
  const { image, disk, positions } = built;
  const { samples, known } = samplesOf("vmdk stream", "disk.vmdk", disk);
  const at = (grain: number) => positions[grain] ?? 0;
  known("nothing damaged", image);
  known(
    "a grain that is no zlib stream",
    damaged(image, (copy) => copy.fill(0xff, at(3) + 12, at(3) + 40)),
    [range(3)],
  );
  known(
    "a grain with a flipped bit (its Adler-32 does not fit)",
    damaged(image, (copy) => {
      const end = at(3) + 12 + copy.readUInt32LE(at(3) + 8);
      copy.writeUInt8(copy.readUInt8(end - 1) ^ 1, end - 1);
    }),
    [range(3)],
  );
  known(
    "a grain longer than the file",
    damaged(image, (copy) => copy.writeUInt32LE(0x7fffffff, at(3) + 8)),
    [range(3)],
  );
  const others = grains.slice(1).map((_, index) => range(index + 1));
  known("footer and tables lost, cut behind the first grain", image.subarray(0, at(1)), others);
  return samples;
}

export function vmdkDescriptorSamples() {
  const first = mixed(1, 2 ** 19);
  const second = mixed(2, 2 ** 19);
  const disk = Buffer.concat([first, second]);
  const half: Range = [2 ** 19, 2 ** 20];
  const { samples, known, lost } = samplesOf("vmdk descriptor", "disk.vmdk", disk);
  const files = { "a.bin": first, "b.bin": second };
  const lines = ['RW 1024 FLAT "a.bin" 0', 'RW 1024 FLAT "b.bin" 0'];
  const createType = "twoGbMaxExtentFlat";
  const naming = (line: string, more: object = {}) => descriptor({ lines: [lines[0] ?? "", line], createType, ...more });
  known("nothing damaged", descriptor({ lines, createType }), [], files);
  known("an extent missing", descriptor({ lines, createType }), [half], { "a.bin": first });
  known("an extent shorter than told", descriptor({ lines, createType }), [[2 ** 19 + 2 ** 18, 2 ** 20]], {
    "a.bin": first,
    "b.bin": second.subarray(0, 2 ** 18),
  });
  known("an extent outside its folder", naming(`RW 1024 FLAT "${SECRET_NAME}" 0`), [half], files);
  known("an extent that is the descriptor", naming('RW 1024 FLAT "disk.vmdk" 0'), [half], files);
  known("an extent of a kind nobody knows", naming('RW 1024 TAPE "b.bin" 0'), [half], files);
  known(
    "a parent missing",
    descriptor({ lines, createType, parentCid: "87654321", keys: ['parentFileNameHint="parent.vmdk"'] }),
    [],
    files,
  );
  lost("no extents", descriptor({ lines: [], createType }));
  lost("an extent of 2^62 sectors", descriptor({ lines: ['RW 4611686018427387904 FLAT "a.bin" 0'], createType }), files);
  const parent = descriptor({ lines: [`RW 2048 FLAT "p.bin" 0`], createType: "monolithicFlat", cid: "11111111" });
  const child = buildHosted({
    grains: Array.from({ length: COUNT }, (_, index) => (index % 2 ? ("absent" as const) : index)),
    grainSize: 128,
    seed: 0,
    descriptor: descriptorText("monolithicSparse", 2048, "SPARSE", "disk.vmdk").replace(
      "parentCID=ffffffff",
      'parentCID=22222222\nparentFileNameHint="parent.vmdk"',
    ),
  });
  const odd = Array.from({ length: COUNT }, (_, index) => index)
    .filter((index) => index % 2)
    .map(range);
  known("a parent with another content ID", child.image, odd, { "parent.vmdk": parent, "p.bin": mixed(5, 2 ** 20) }, child.disk);
  return samples;
}
