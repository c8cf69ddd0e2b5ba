// Containers of files with damage: ISO 9660 (ECMA-119), tar (POSIX ustar), zip (APPNOTE.TXT), OVA (DSP0243).
import { gzipSync } from "node:zlib";
import { mixed, text } from "../../support/content.js";
import { both32, buildIso } from "../../support/iso-builder.js";
import { buildManifest, buildOvf, buildTar, tarHeader } from "../../support/ovf-builder.js";
import { buildZip } from "../../support/zip-builder.js";
import { cut, damaged, treesOf } from "../sample.js";

const a = mixed(1, 40_000);
const b = text(2, 90_000);
const c = mixed(3, 5000);
const all = { "a.bin": { content: a }, "b.txt": { content: b }, "c.bin": { content: c } };
const members = [
  { name: "a.bin", content: a },
  { name: "b.txt", content: b },
  { name: "c.bin", content: c },
];

export function isoSamples() {
  const records = members.map(({ name, content }) => ({ name: `${name.toUpperCase()};1`, content }));
  const image = buildIso({ records });
  const { samples, known, lost } = treesOf("iso", "disc.iso");
  const PRIMARY = 16 * 2048;
  const record = (name: string) => image.indexOf(name) - 33;
  const root = image.readUInt32LE(PRIMARY + 158) * 2048;
  const change = (name: string, edit: (copy: Buffer, at: number) => void) => damaged(image, (copy) => edit(copy, record(name)));
  known("nothing damaged", image, all);
  const end = Math.max(
    ...["A.BIN", "B.TXT", "C.BIN"].map((name) => image.readUInt32LE(record(name) + 2) * 2048 + image.readUInt32LE(record(name) + 10)),
  );
  const last =
    ["A.BIN", "B.TXT", "C.BIN"].find(
      (name) => image.readUInt32LE(record(name) + 2) * 2048 + image.readUInt32LE(record(name) + 10) === end,
    ) ?? "A.BIN";
  const lowered = last.toLowerCase() as keyof typeof all;
  const known1000 = { ...all, [lowered]: { content: all[lowered].content, known: 1000 } };
  known("cut in its last file", image.subarray(0, image.readUInt32LE(record(last) + 2) * 2048 + 1000), known1000);
  known(
    "a file behind the end",
    change("B.TXT", (copy, at) => both32(0x100000).copy(copy, at + 2)),
    { ...all, "b.txt": { content: b, known: 0 } },
  );
  known(
    "two files at one place",
    change("B.TXT", (copy, at) => {
      image.copy(copy, at + 2, record("A.BIN") + 2, record("A.BIN") + 18);
    }),
    { ...all, "b.txt": { content: a } },
  );
  known(
    "path table destroyed",
    damaged(image, (copy) => {
      copy.writeUInt32LE(0x7fffffff, PRIMARY + 140);
      copy.writeUInt32BE(0x7fffffff, PRIMARY + 148);
    }),
    all,
  );
  const { "a.bin": onlyA, "b.txt": onlyB } = all;
  known(
    "a folder that is its own child",
    change("C.BIN", (copy, at) => {
      both32(root / 2048).copy(copy, at + 2);
      both32(2048).copy(copy, at + 10);
      copy.writeUInt8(2, at + 25);
    }),
    { "a.bin": onlyA, "b.txt": onlyB },
    true,
  );
  lost(
    "root directory behind the end",
    damaged(image, (copy) => both32(0x100000).copy(copy, PRIMARY + 158)),
  );
  known(
    "root directory of 4 GiB",
    damaged(image, (copy) => both32(0xfffff800).copy(copy, PRIMARY + 166)),
    all,
  );
  lost(
    "volume descriptor destroyed",
    damaged(image, (copy) => copy.fill(0, PRIMARY, PRIMARY + 2048)),
  );
  known(
    "a record shorter than its name",
    change("C.BIN", (copy, at) => copy.writeUInt8(200, at + 32)),
    { "a.bin": onlyA, "b.txt": onlyB },
    true,
  );
  known(
    "a name with ../",
    change("C.BIN", (copy, at) => copy.write("../C.", at + 33, "latin1")),
    { "a.bin": onlyA, "b.txt": onlyB },
    true,
  );
  lost("cut behind its descriptors", image.subarray(0, 18 * 2048));
  return samples;
}

/** A tar header with its checksum made right again. */
function retar(image: Buffer, at: number, edit: (head: Buffer) => void): Buffer {
  return damaged(image, (copy) => {
    const head = copy.subarray(at, at + 512);
    edit(head);
    head.write("        ", 148);
    head.write(
      `${head
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
  });
}

export function tarSamples() {
  const image = buildTar(members);
  const { samples, known, lost } = treesOf("tar", "files.tar");
  const second = image.indexOf("b.txt");
  const third = image.indexOf("c.bin");
  known("nothing damaged", image, all);
  known("cut in its second member", image.subarray(0, second + 512 + 1000), {
    "a.bin": all["a.bin"],
    "b.txt": { content: b, known: 1000 },
  });
  known(
    "checksum of a header wrong",
    damaged(image, (copy) => copy.write("0000001", second + 148)),
    all,
  );
  known(
    "size larger than the archive",
    retar(image, third, (head) => head.write("77777777777\0", 124)),
    { "a.bin": all["a.bin"], "b.txt": all["b.txt"], "c.bin": { content: c, known: 0 } },
  );
  known(
    "size of 2^62",
    retar(image, third, (head) => {
      head.fill(0, 124, 136);
      head[124] = 0x80;
      head.writeBigUInt64BE(2n ** 62n, 128);
    }),
    { "a.bin": all["a.bin"], "b.txt": all["b.txt"], "c.bin": { content: c, known: 0 } },
  );
  known(
    "size that is no number",
    retar(image, third, (head) => head.write("hello world\0", 124)),
    { "a.bin": all["a.bin"], "b.txt": all["b.txt"], "c.bin": { content: c, known: 0 } },
  );
  known("end mark missing", image.subarray(0, image.length - 1024), all);
  const escaping = (name: string) => Buffer.concat([tarHeader(name, 5), Buffer.concat([Buffer.from("hello"), Buffer.alloc(507)]), image]);
  known("a member ../escaped", escaping("../escaped"), all, true);
  known("a member /tmp/flatmount-escaped", escaping("/tmp/flatmount-escaped"), all, true);
  const link = tarHeader("way", 0, "2");
  const way = retar(link, 0, (head) => head.write("..", 157));
  known(
    "a member through a symbolic link",
    Buffer.concat([way, tarHeader("way/escaped", 5), Buffer.concat([Buffer.from("hello"), Buffer.alloc(507)]), image]),
    all,
    true,
  );
  lost("noise", mixed(9, 10_000));
  return samples;
}

export function tarGzSamples() {
  const image = gzipSync(buildTar(members));
  const { samples, known, lost } = treesOf("tar.gz", "files.tar.gz");
  known("nothing damaged", image, all);
  lost(
    "CRC-32 wrong",
    damaged(image, (copy) => copy.writeUInt32LE(1, copy.length - 8)),
  );
  lost(
    "a flipped bit",
    damaged(image, (copy) => copy.writeUInt8(copy.readUInt8(20_000) ^ 4, 20_000)),
  );
  lost("cut at 50 %", cut(image, 0.5));
  return samples;
}

export function zipSamples() {
  const entries = members.map((member) => ({ ...member, method: 8 }));
  const image = buildZip({ entries });
  const { samples, known, lost } = treesOf("zip", "files.zip");
  const directory = (name: string) => image.lastIndexOf(name) - 46;
  known("nothing damaged", image, all);
  known("CRC-32 of a member wrong", buildZip({ entries: [...entries.slice(0, 2), { name: "c.bin", content: c, method: 8, crc32: 1 }] }), {
    ...all,
    "c.bin": { content: c, known: 0 },
  });
  known(
    "a member that is no deflate stream",
    damaged(image, (copy) => {
      const at = copy.indexOf("b.txt") + 5;
      copy.fill(0xff, at, at + 20);
    }),
    { ...all, "b.txt": { content: b, known: 0 } },
  );
  known(
    "a member behind the end",
    damaged(image, (copy) => copy.writeUInt32LE(0x7fffffff, directory("b.txt") + 42)),
    { ...all, "b.txt": { content: b, known: 0 } },
  );
  known("a member larger than told", buildZip({ entries: [...entries.slice(0, 2), { name: "c.bin", content: c, method: 8, size: 100 }] }), {
    ...all,
    "c.bin": { content: c, known: 0 },
  });
  known("a member of a method nobody knows", buildZip({ entries: [...entries.slice(0, 2), { name: "c.bin", content: c, method: 77 }] }), {
    ...all,
    "c.bin": { content: c, known: 0 },
  });
  known(
    "two members at one place",
    damaged(image, (copy) => {
      const from = directory("a.bin");
      const to = directory("b.txt");
      image.copy(copy, to + 16, from + 16, from + 28);
      image.copy(copy, to + 42, from + 42, from + 46);
    }),
    { ...all, "b.txt": { content: a } },
  );
  known(
    "a bomb: 1 GiB of zeros in 1 MiB",
    buildZip({ entries: [...entries, { name: "d.bin", content: Buffer.alloc(2 ** 30), method: 8 }] }),
    all,
    true,
  );
  lost("directory lost", image.subarray(0, directory("a.bin")));
  lost("cut at 50 %", cut(image, 0.5));
  lost(
    "directory behind the end",
    damaged(image, (copy) => copy.writeUInt32LE(0x7fffffff, copy.length - 6)),
  );
  known("a member ../escaped", buildZip({ entries: [{ name: "../escaped", content: Buffer.from("hello") }, ...entries] }), all, true);
  return samples;
}

export function ovaSamples() {
  const disk = mixed(4, 2 ** 18);
  const ovf = (more: string) =>
    buildOvf({
      files: [{ id: "file1", href: "disk.img", size: disk.length }],
      disks: [{ id: "disk1", file: "file1", capacity: String(disk.length) }],
      ...(more !== "" && { declaration: more }),
    });
  const text1 = ovf("");
  const content = { "vm.ovf": { content: Buffer.from(text1) }, "disk.img": { content: disk } };
  const own = [
    { name: "vm.ovf", content: text1 },
    { name: "disk.img", content: disk },
  ];
  const image = buildTar(own);
  const { samples, known } = treesOf("ova", "vm.ova");
  known(
    "nothing damaged",
    buildTar([own[0] ?? members[0], { name: "vm.mf", content: buildManifest(own) }, own[1] ?? members[0]].flatMap((each) => each ?? [])),
    { ...content, "vm.mf": { content: Buffer.from(buildManifest(own)) } },
  );
  known("cut in its disk", image.subarray(0, image.indexOf("disk.img\0") + 512 + 1000), {
    "vm.ovf": content["vm.ovf"],
    "disk.img": { content: disk, known: 1000 },
  });
  const bomb = `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">${"bcdefghij"
    .split("")
    .map((name, index) => `<!ENTITY ${name} "${`&${"abcdefghi"[index] ?? "a"};`.repeat(10)}">`)
    .join("")}]>`;
  const bad = text1.replace(/^<\?xml[^>]*>/, bomb).replace("</", "&j;</");
  known(
    "a descriptor with an entity bomb",
    buildTar([
      { name: "vm.ovf", content: bad },
      { name: "disk.img", content: disk },
    ]),
    { ...content, "vm.ovf": { content: Buffer.from(bad) } },
  );
  const outside = text1.replace('"disk.img"', '"../outside/secret.txt"');
  known(
    "a descriptor naming a file outside",
    buildTar([
      { name: "vm.ovf", content: outside },
      { name: "disk.img", content: disk },
    ]),
    { ...content, "vm.ovf": { content: Buffer.from(outside) } },
  );
  known("the disk missing", buildTar([{ name: "vm.ovf", content: text1 }]), { "vm.ovf": content["vm.ovf"] });
  return samples;
}
