// What is recognised, against the programs that make file systems, and against blkid(8).
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { extWays, fileSystems } from "../../src/attach/filesystems.js";
import { recogniseFileSystem } from "../../src/attach/recognise.js";
import { noise } from "../support/content.js";
import { blankFile } from "../support/file-systems.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;

/** Who makes it, in how many MiB, what blkid calls it, what it is called here. */
const made: readonly (readonly [words: string, size: number, blkid: string, name: string])[] = [
  ["mke2fs -q -t ext2 FILE", 8, "ext2", "ext2"],
  ["mke2fs -q -t ext3 FILE", 8, "ext3", "ext3"],
  ["mke2fs -q -t ext4 FILE", 8, "ext4", "ext4"],
  ["mke2fs -q -t ext4 -O ^has_journal FILE", 8, "ext4", "ext4"],
  ["mke2fs -q -O journal_dev FILE", 8, "jbd", "ext journal"],
  ["mkfs.xfs -q FILE", 300, "xfs", "XFS"],
  ["mkfs.btrfs -q FILE", 120, "btrfs", "Btrfs"],
  ["mkfs.vfat -F 12 FILE", 2, "vfat", "FAT"],
  ["mkfs.vfat -F 16 FILE", 16, "vfat", "FAT"],
  ["mkfs.vfat -F 32 FILE", 64, "vfat", "FAT"],
  ["mkfs.f2fs -q FILE", 64, "f2fs", "F2FS"],
  ["mkfs.ntfs -q -F -s 512 -p 0 -H 16 -S 63 FILE", 16, "ntfs", "NTFS"],
  ["mkfs.exfat FILE", 16, "exfat", "exFAT"],
  ["mkudffs FILE", 16, "udf", "UDF"],
  ["mkswap FILE", 2, "swap", "swap"],
  ["mkswap -p 65536 FILE", 2, "swap", "swap"],
  [
    "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/hostname FILE",
    32,
    "crypto_LUKS",
    "LUKS",
  ],
];

describe("recogniseFileSystem", () => {
  const directory = tempDirectory();

  describe.each(made)("%s", (words, size, blkid, name) => {
    const [program = "", ...args] = words.split(" ");
    test.skipIf(!requireProgram(program) || !requireProgram("blkid"))("is known for what it is", () => {
      const file = blankFile(join(subdirectory(directory), "file"), size * MIB);
      run(
        program,
        args.map((word) => (word === "FILE" ? file : word)),
      );
      expect(run("blkid", ["-p", "-o", "value", "-s", "TYPE", file]).trim()).toBe(blkid);
      expect(recognise(file)?.name).toBe(name);
      expect(recognise(file)?.notes ?? []).toEqual([]);
    });
  });

  test.skipIf(!requireProgram("genisoimage"))("a disc, with UDF or without", () => {
    const folder = subdirectory(directory);
    run("genisoimage", ["-quiet", "-o", join(folder, "iso"), "-J", "/etc/hostname"]);
    run("genisoimage", ["-quiet", "-udf", "-o", join(folder, "bridge"), "/etc/hostname"]);
    expect(recognise(join(folder, "iso"))?.name).toBe("ISO 9660");
    expect(recognise(join(folder, "bridge"))?.name).toBe("UDF");
  });

  /** At the offsets that the specifications give; no program here makes these. */
  const marked: readonly (readonly [at: number, bytes: string, name: string])[] = [
    [0, "LUKS\xba\xbe\0\x01", "LUKS"],
    [32, "NXSB", "APFS"],
    [1024, "H+\0\x04", "HFS+"],
    [1024, "HX\0\x05", "HFS+"],
    [1024, "BD", "HFS"],
    [32768, "JFS1", "JFS"],
    [65536 + 52, "ReIsEr2Fs", "ReiserFS"],
    [3, "-FVE-FS-", "BitLocker"],
    [3, "ReFS\0\0\0\0", "ReFS"],
    [0, "-rom1fs-", "romfs"],
    [4096, "\xfc\x4e\x2b\xa9\x01\0\0\0", "md RAID"],
    [65536 + 1372, "\x19\x01\x54\x19", "UFS2"],
    [8192 + 1372, "\x54\x19\x01\0", "UFS"],
    [512, `LABELONE${"\0".repeat(16)}LVM2 001`, "LVM"],
    [1024 + 6, "44", "NILFS2"],
    [1048576, "\x0d\xd0\x01\xc0", "VMFS"],
  ];
  test.each(marked.map(([at, bytes, name]) => [name, at, bytes] as const))("%s by what stands at byte %d", (name, at, bytes) => {
    const content = Buffer.alloc(2 * MIB);
    content.write(bytes, at, "latin1");
    expect(recogniseIn(content)?.name).toBe(name);
  });

  test("a file system that needs recovery is told", () => {
    const superblock = Buffer.alloc(4096);
    superblock.writeUInt16LE(0xef53, 1024 + 56);
    superblock.writeUInt32LE(4, 1024 + 92);
    superblock.writeUInt32LE(2 + 4, 1024 + 96);
    expect(recogniseIn(superblock)).toMatchObject({ name: "ext3", ways: extWays.ext3, notes: [expect.stringContaining("not replayed")] });
  });

  test("nothing is mounted in a way that replays a journal", () => {
    const all = [...Object.values(fileSystems).flatMap(({ ways }) => ways), ...extWays.ext3, ...extWays.ext4];
    const optionOf = {
      ext3: "noload",
      ext4: "noload",
      xfs: "norecovery",
      f2fs: "norecovery",
      nilfs2: "norecovery",
      reiserfs: "nolog",
    } as const;
    for (const [type, option] of Object.entries(optionOf)) {
      const ways = all.filter((each) => each.type === type);
      expect(ways.length).toBeGreaterThan(0);
      for (const { options } of ways) expect(options).toContain(option);
    }
    for (const { options } of fileSystems.btrfs.ways) expect(options.join()).toContain("nologreplay");
  });

  test("zeros, noise and files that end early are nothing", () => {
    expect(recogniseIn(Buffer.alloc(2 * MIB))).toBeUndefined();
    for (let seed = 0; seed < 8; seed += 1) expect(recogniseIn(noise(seed, 256 * 1024))?.ways ?? []).toEqual([]);
    for (const size of [0, 1, 511, 512, 1024, 1025, 4096, 32_768, 65_600]) expect(recogniseIn(Buffer.alloc(size))).toBeUndefined();
  });
});

function recogniseIn(content: Buffer) {
  return recogniseFileSystem((offset, length) =>
    offset + length > content.length ? undefined : content.subarray(offset, offset + length),
  );
}

function recognise(path: string) {
  const file = openSync(path, "r");
  try {
    return recogniseFileSystem((offset, length) => {
      const target = Buffer.alloc(length);
      return readSync(file, target, 0, length, offset) === length ? target : undefined;
    });
  } finally {
    closeSync(file);
  }
}
