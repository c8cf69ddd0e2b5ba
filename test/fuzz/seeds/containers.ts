import { createHash, generateKeyPairSync, type KeyObject, publicEncrypt, constants, createCipheriv } from "node:crypto";
import { deflateSync, gzipSync } from "node:zlib";
import { noise, text } from "../../support/content.js";
import { cpioArchive, type CpioKind, types } from "../../support/cpio-builder.js";
import { buildIso, both32, susp } from "../../support/iso-builder.js";
import { buildManifest, buildOvf, buildTar, item, machine } from "../../support/ovf-builder.js";
import { buildUdf, type UdfKind, type UdfNode } from "../../support/udf-builder.js";
import { udfDeviceAttribute, udfPath } from "../../support/udf-structures.js";
import { buildZip, zipExtra } from "../../support/zip-builder.js";
import { type Input, inputOf } from "../input.js";
import { filtered, written } from "./programs.js";

const SP = susp("SP", Buffer.from([0xbe, 0xef, 0]));
const rock = (name: string, mode: number, ...more: Buffer[]) =>
  Buffer.concat([
    susp("NM", Buffer.concat([Buffer.from([0]), Buffer.from(name)])),
    susp("PX", Buffer.concat([mode, 1, 1000, 100].map(both32))),
    ...more,
  ]);

/** A file of two blocks as zisofs stores it, and the entry that says so. Version 1 has 32-bit pointers, version 2 a header of 24 bytes and 64-bit ones. */
function zisofs(version: 1 | 2): { readonly content: Buffer; readonly entry: Buffer } {
  const blocks = [deflateSync(text(8, 32_768)), deflateSync(text(9, 500))];
  const size = 32_768 + 500;
  const pointer = version === 1 ? 4 : 8;
  const header = Buffer.alloc(version === 1 ? 16 : 24);
  header.write(version === 1 ? "37e45396c9dbd607" : "ef2255a1bc1b95a0", "hex");
  if (version === 1) {
    header.writeUInt32LE(size, 8);
    header.set([4, 15], 12);
  } else {
    header.set([0, 6, 1, 15], 8);
    header.writeBigUInt64LE(BigInt(size), 12);
  }
  const table = Buffer.alloc(3 * pointer);
  let at = header.length + table.length;
  [...blocks, Buffer.alloc(0)].forEach((block, index) => {
    table.writeUInt32LE(at, index * pointer);
    at += block.length;
  });
  const wide = Buffer.alloc(8);
  wide.writeUInt32LE(size);
  const fields = Buffer.concat([
    Buffer.from(version === 1 ? "pz" : "PZ"),
    Buffer.from([header.length / 4, 15]),
    version === 1 ? both32(size) : wide,
  ]);
  return { content: Buffer.concat([header, table, ...blocks]), entry: susp("ZF", fields) };
}

export function iso9660(): readonly Input[] {
  const content = noise(1, 3000);
  const plain = [
    { name: "A.BIN;1", content },
    { name: "BIG.BIN;1", content: noise(2, 2048), flags: 128 },
    { name: "BIG.BIN;1", content: noise(3, 100) },
    { name: "I.BIN;1", content: noise(4, 6000), unit: 1, gap: 1 },
    { name: "F.BIN;1", content: noise(5, 50), flags: 4 },
  ];
  const named = [
    { name: "A.;1", content, systemUse: rock("a file", 0o100644) },
    { name: "L.;1", systemUse: rock("link", 0o120777, susp("SL", Buffer.from([0, 0, 2, 97, 98, 4, 0, 8, 0]))) },
    { name: "D.;1", systemUse: rock("device", 0o060600, susp("PN", Buffer.concat([both32(8), both32(1)]))) },
    { name: "T.;1", content: noise(2, 9), systemUse: rock("time", 0o100600, susp("TF", Buffer.from([2, 101, 2, 3, 4, 5, 6, 0]))) },
  ];
  const packed = ([1, 2] as const).map((version) => {
    const { content: stored, entry } = zisofs(version);
    return { name: `Z${version}.;1`, content: stored, systemUse: rock(`packed ${version}`, 0o100644, entry) };
  });
  const programs = written("xorriso", [
    ["-as", "mkisofs", "-R", "-J", "-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", "-o", "OUT", "TREE"],
    ["-as", "mkisofs", "-R", "-z", "-o", "OUT", "TREE"],
  ]);
  return [
    inputOf({ "a.iso": buildIso({ records: plain }) }),
    inputOf({ "a.iso": buildIso({ records: [...named, ...packed], rootUse: Buffer.concat([SP, rock("", 0o040755)]) }) }),
    inputOf({ "a.iso": buildIso({ records: plain.slice(0, 1), kind: "joliet", blockSize: 1024 }) }),
    inputOf({ "a.iso": buildIso({ records: plain.slice(0, 1), kind: "high sierra" }) }),
    inputOf({ "a.iso": buildIso({ records: plain.slice(0, 3), kind: "enhanced", terminator: false, blockSize: 512 }) }),
    ...programs.map((image) => inputOf({ "a.iso": image })),
  ];
}

export function udf(): readonly Input[] {
  const root: readonly UdfNode[] = [
    { name: "big", content: noise(1, 5000), pieces: [1, -1, 1], perArea: 2 },
    { name: "small", content: noise(2, 77), allocation: "embedded" },
    { name: "long", content: noise(3, 3000), allocation: "long", extended: true, permissions: 0x14a5 },
    { name: "link", type: 12, content: udfPath([1], [3], [5, "small"]) },
    { name: "device", type: 7, attributes: udfDeviceAttribute(8, 1) },
    {
      name: "folder",
      children: [
        { name: "in it", content: noise(4, 20) },
        { name: "up", up: 1 },
      ],
      streams: [{ name: "s", content: noise(5, 9) }],
    },
    { name: "older", content: noise(6, 10), olderVersions: [noise(7, 5)] },
    { name: "文字", sameAs: "small" },
  ];
  const kinds: readonly UdfKind[] = ["physical", "virtual", "sparable", "metadata", "metadata on sparable"];
  return [
    ...kinds.map((kind) => inputOf({ "a.udf": buildUdf({ root, kind, sectorSize: 512, spared: [0, 1] }).disc })),
    inputOf({ "a.udf": buildUdf({ root, revision: 0x0102, olderFileSets: 1, otherFileSets: 1 }).disc }),
    inputOf({ "a.udf": buildUdf({ root: root.slice(0, 2), simple: true, recognition: false, anchors: ["last"], integrity: false }).disc }),
    inputOf({ "a.udf": buildUdf({ root: root.slice(0, 3), open: true, anchors: ["512"], relocated: 12 }).disc }),
    inputOf({
      "a.udf": buildUdf({ root: root.slice(0, 3), kind: "virtual", missing: 90, rootStreams: [{ name: "x", content: noise(1, 3) }] }).disc,
    }),
  ];
}

export function tar(): readonly Input[] {
  const programs = written(
    "tar",
    [
      ["--format=gnu"],
      ["--format=posix"],
      ["--format=gnu", "-S"],
      ["--format=posix", "-S"],
      ["--format=posix", "-S", "--sparse-version=0.0"],
      ["--format=posix", "-S", "--sparse-version=0.1"],
    ].map((options) => [
      "-cf",
      "OUT",
      "--mtime=2001-02-03",
      "--sort=name",
      "--owner=a:1",
      "--group=b:2",
      ...options,
      "-C",
      "TREE",
      "a folder",
      "boot.img",
      "second name",
      "holes",
    ]),
  );
  return [
    inputOf({
      "a.tar": buildTar([
        { name: "a", content: noise(1, 600) },
        { name: "b/c", content: "text" },
        { name: "b/../d", content: "e" },
      ]),
    }),
    ...programs.filter((image) => image.length < 60_000 || image.subarray(512).includes(0)).map((image) => inputOf({ "a.tar": image })),
  ];
}

export function cpio(): readonly Input[] {
  const entries = [
    { name: ".", mode: types.directory | 0o755 },
    { name: "a", content: noise(1, 50) },
    { name: "d/b", content: text(2, 90) },
    { name: "link", mode: types.symlink | 0o777, content: Buffer.from("a") },
    { name: "device", mode: types.block | 0o600, device: [8, 1] as const },
    { name: "hard", inode: 7, links: 2 },
    { name: "hard2", inode: 7, links: 2, content: noise(3, 20) },
  ];
  const kinds: readonly CpioKind[] = ["newc", "crc", "odc", "little", "big"];
  const [first = Buffer.alloc(0)] = kinds.map((kind) => cpioArchive(kind, entries));
  return [
    ...kinds.map((kind) => inputOf({ "a.cpio": cpioArchive(kind, entries) })),
    inputOf({ "a.cpio": Buffer.concat([first, Buffer.alloc(512 - (first.length % 512)), gzipSync(first)]) }),
    inputOf({ "a.cpio": gzipSync(first) }),
    ...filtered("xz", ["--check=crc32", "-c"], first).map((packed) => inputOf({ "a.cpio": Buffer.concat([first, packed]) })),
  ];
}

export function kernel(): readonly Input[] {
  const inside = text(5, 600);
  const payload = gzipSync(inside);
  const bz = Buffer.concat([Buffer.alloc(2048 + 100), payload, Buffer.alloc(30, 0x90)]);
  bz[0x1f1] = 3;
  bz.writeUInt16LE(0xaa55, 0x1fe);
  bz.write("HdrS", 0x202);
  bz.writeUInt16LE(0x20f, 0x206);
  bz.writeUInt16LE(0x400, 0x20e);
  bz.write("6.1.0-test (x@y) #1 SMP\0", 0x600);
  bz[0x211] = 1;
  bz.writeUInt32LE(100, 0x248);
  bz.writeUInt32LE(payload.length, 0x24c);
  const elf = (wide: boolean) => {
    const file = Buffer.alloc(400);
    file.write(wide ? "\x7fELF\x02\x01\x01" : "\x7fELF\x01\x01\x01", "latin1");
    file.writeUInt16LE(2, 16);
    file.writeUInt16LE(62, 18);
    if (wide) file.writeBigUInt64LE(64n, 32);
    else file.writeUInt32LE(64, 28);
    file.writeUInt16LE(wide ? 56 : 32, wide ? 54 : 42);
    file.writeUInt16LE(2, wide ? 56 : 44);
    file.writeUInt32LE(1, 64);
    file.writeBigUInt64LE(0xffffffff81000000n, 64 + (wide ? 16 : 8));
    file.write("Linux version 6.1.0-test (x@y) #1\n", 300);
    return file;
  };
  const arm = Buffer.alloc(200);
  arm.write("ARM\x64", 56, "latin1");
  arm.writeBigUInt64LE(200n, 16);
  const zimg = Buffer.concat([Buffer.alloc(64), payload]);
  zimg.write("MZ\0\0zimg", "latin1");
  zimg.writeUInt32LE(64, 8);
  zimg.writeUInt32LE(payload.length, 12);
  zimg.write("gzip\0", 24);
  return [...[bz, elf(true), elf(false), arm, zimg].map((image) => inputOf({ vmlinuz: image }))];
}

const disk = noise(9, 1024);

export function ovf(): readonly Input[] {
  const system = machine("vm", "a machine", [
    item(3, { VirtualQuantity: 2 }),
    item(4, { VirtualQuantity: 512, AllocationUnits: "byte * 2^20" }),
    item(17, { HostResource: "ovf:/disk/d1", Parent: 3 }),
  ]);
  const descriptor = buildOvf({
    version: "1.0",
    files: [
      { id: "f1", href: "a.raw", size: disk.length },
      { id: "f2", href: "b.raw", chunkSize: 512, size: 1024 },
    ],
    disks: [
      { id: "d1", file: "f1", capacity: "1024" },
      { id: "d2", file: "f2", capacity: "1", units: "byte * 2^10", parent: "d1" },
      { id: "d3", capacity: "2" },
    ],
    networks: ["net"],
    systems: system,
  });
  const members = [
    { name: "a.ovf", content: descriptor },
    { name: "a.raw", content: disk },
    { name: "b.raw.000000000", content: disk.subarray(0, 512) },
    { name: "b.raw.000000001", content: disk.subarray(512) },
  ];
  const packed = buildOvf({
    prefix: "",
    namespace: "http://schemas.dmtf.org/ovf/envelope/2",
    files: [{ id: "f1", href: "a.raw.gz", compression: "gzip" }],
    disks: [{ id: "d1", file: "f1", capacity: "1024" }],
  });
  const signed = buildManifest(members);
  const { publicKey } = { publicKey: "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n" };
  return [
    inputOf({
      "a.ovf": descriptor,
      "a.raw": disk,
      "b.raw.000000000": disk.subarray(0, 512),
      "b.raw.000000001": disk.subarray(512),
      "a.mf": signed,
    }),
    inputOf({
      "a.ova": buildTar([...members, { name: "a.mf", content: signed }, { name: "a.cert", content: `SHA256(a.mf)= 00ff\n${publicKey}` }]),
    }),
    inputOf({ "a.ovf": packed, "a.raw.gz": gzipSync(disk) }),
    inputOf({
      "a.ova": buildTar([
        { name: "a.ovf", content: packed },
        { name: "a.raw.gz", content: gzipSync(disk) },
      ]),
    }),
    inputOf({
      "a.box": buildTar([
        { name: "metadata.json", content: '{"provider":"libvirt","format":"qcow2","virtual_size":1}' },
        { name: "box.img", content: disk },
      ]),
    }),
    inputOf({
      "a.box": buildTar([
        {
          name: "metadata.json",
          content: '{"provider":"libvirt","disks":[{"path":"one.img","name":"one","format":"raw"},{"path":"two.img"}]}',
        },
        { name: "one.img", content: disk },
        { name: "two.img", content: disk },
      ]),
    }),
    inputOf({ "a.ova": gzipSync(buildTar(members)) }),
  ];
}

/** The keys of the bundles; made once, for whatever is run. */
const keys: { pair?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } } = {};

function pairOf() {
  return (keys.pair ??= generateKeyPairSync("rsa", { modulusLength: 1024 }));
}

export function privateKey(): string {
  return pairOf().privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export function ec2(): readonly Input[] {
  const archive = buildTar([{ name: "server.img", content: disk }]);
  const packed = gzipSync(archive);
  const sha1 = (content: Uint8Array) => createHash("sha1").update(content).digest("hex");
  const secret = noise(1, 16).toString("hex");
  const cipher = createCipheriv("aes-128-cbc", Buffer.from(secret, "hex"), Buffer.from(secret, "hex"));
  const encrypted = Buffer.concat([cipher.update(packed), cipher.final()]);
  const sealed = publicEncrypt({ key: pairOf().publicKey, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(secret)).toString("hex");
  const bundle = (whole: Buffer, secrets: string, type: string) => {
    const half = whole.length >> 1;
    const parts = [whole.subarray(0, half), whole.subarray(half)];
    const list = parts.map(
      (part, index) => `<part index="${index}"><filename>p.${index}</filename><digest algorithm="SHA1">${sha1(part)}</digest></part>`,
    );
    return {
      "m.manifest.xml":
        `<?xml version="1.0"?>\n<manifest><version>2007-10-10</version><bundler><name>b</name><version>1</version><release>2</release></bundler>` +
        `<machine_configuration><architecture>x86_64</architecture><kernel_id>aki-1</kernel_id><block_device_mapping><mapping><virtual>ami</virtual>` +
        `<device>sda1</device></mapping></block_device_mapping><product_codes><product_code>p</product_code></product_codes></machine_configuration>` +
        `<image><name>server.img</name><user>111122223333</user><type>${type}</type><digest algorithm="SHA1">${sha1(archive)}</digest><size>${disk.length}</size>` +
        `<bundled_size>${whole.length}</bundled_size>${secrets}<ancestry><ancestor_ami_id>ami-1</ancestor_ami_id></ancestry>` +
        `<parts count="2">${list.join("")}</parts></image><signature>00ff</signature></manifest>`,
      "p.0": parts[0] ?? "",
      "p.1": parts[1] ?? "",
    };
  };
  const secrets = `<user_encrypted_key algorithm="AES-128-CBC">${sealed}</user_encrypted_key><user_encrypted_iv>${sealed}</user_encrypted_iv>`;
  return [inputOf(bundle(packed, "", "kernel")), inputOf(bundle(encrypted, secrets, "machine"))];
}

export function zip(): readonly Input[] {
  const content = text(3, 3000);
  const entries = [
    { name: "a.img", content, method: 8, extra: zipExtra(0x5455, Buffer.from([1, 0, 0, 0, 0])) },
    { name: "d/b.bin", content, wide: true, extra: zipExtra(0x7875, Buffer.from([1, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0])) },
    { name: "l", content: Buffer.from("a.img"), method: 8, attributes: 0o120777 * 65_536 },
    { name: "d\\c", content: noise(1, 40), madeBy: 0 },
  ];
  return [{}, { wide: true }, { comment: "text", front: noise(2, 90) }, { between: noise(3, 70) }].map((recipe) =>
    inputOf({ "a.zip": buildZip({ ...recipe, entries }) }),
  );
}
