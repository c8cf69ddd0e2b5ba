import { statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { sha256 } from "../support/hash.js";
import type { Mounts, Served } from "../support/mount.js";
import { qemuMap, requireProgram, run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { type Capabilities, testWhere } from "./capabilities.js";
import { type SampleDisk, sampleDisk } from "./sample.js";

type Range = readonly [start: number, end: number];

export function holes(mounts: Mounts, { seeksHoles }: Capabilities): void {
  let sample: SampleDisk;
  let served: Served;
  beforeAll(async () => {
    sample = sampleDisk(mounts.directory);
    served = await mounts.serve(sample.image);
  });

  test.skipIf(!requireProgram("python3"))(seeksHoles ? "SEEK_DATA and SEEK_HOLE find the holes" : "all of the disk counts as data", () => {
    const found = dataRanges(served.disk);
    expect(found).toEqual(seeksHoles ? storedRanges(sample) : [[0, sample.content.length]]);
  });

  testWhere(seeksHoles)("seeking from inside a hole, inside data, and at the end", () => {
    const [first = [0, 0], second = [0, 0]] = storedRanges(sample);
    const size = sample.content.length;
    const questions = [
      ["DATA", first[1] - 1, first[1] - 1],
      ["HOLE", first[1] - 1, first[1]],
      ["DATA", first[1] + 1, second[0]],
      ["HOLE", first[1] + 1, first[1] + 1],
      ["HOLE", second[0], second[1]],
      ["HOLE", size - 1, size - 1],
      ["DATA", size - 1, "ENXIO"],
      ["DATA", size, "ENXIO"],
      ["HOLE", size, "ENXIO"],
    ] as const;
    expect(questions.map(([kind, offset]) => seek(served.disk, kind, offset))).toEqual(questions.map(([, , answer]) => answer));
  });

  test("cp makes a sparse copy of the same bytes", () => {
    const copy = join(subdirectory(mounts.directory), "copy.raw");
    run("cp", [`--sparse=${seeksHoles ? "auto" : "always"}`, served.disk, copy]);
    expect(hashOf(copy)).toBe(sha256(sample.content));
    expect(statSync(copy).blocks * 512).toBeLessThan(sample.content.length - 2 ** 21);
  });

  testWhere(seeksHoles)("tar -S leaves holes out", () => {
    const archive = join(subdirectory(mounts.directory), "disk.tar");
    run("tar", ["-S", "--hole-detection=seek", "-cf", archive, "-C", served.mountpoint, "disk.raw"]);
    expect(statSync(archive).size).toBeLessThan(sample.content.length - 2 ** 21);
    const folder = subdirectory(mounts.directory);
    run("tar", ["-xf", archive, "-C", folder]);
    expect(hashOf(join(folder, "disk.raw"))).toBe(sha256(sample.content));
  });

  test("qemu-img convert of the view gives the disk again", () => {
    const copy = join(subdirectory(mounts.directory), "copy.raw");
    run("qemu-img", ["convert", "-f", "raw", "-O", "raw", served.disk, copy]);
    expect(hashOf(copy)).toBe(sha256(sample.content));
  });
}

function hashOf(path: string): string {
  return run("sha256sum", [path]).replace(/^\\/, "").slice(0, 64);
}

/** What is stored, as QEMU sees it in the image. */
function storedRanges({ image }: SampleDisk): Range[] {
  const ranges: [number, number][] = [];
  for (const { start, length, data } of qemuMap(image)) {
    const last = ranges.at(-1);
    if (!data) continue;
    if (last?.[1] === start) last[1] += length;
    else ranges.push([start, start + length]);
  }
  return ranges;
}

function dataRanges(path: string): unknown {
  const script = `
import errno, json, os, sys
disk = os.open(sys.argv[1], os.O_RDONLY)
ranges, at = [], 0
while True:
    try:
        start = os.lseek(disk, at, os.SEEK_DATA)
    except OSError as error:
        assert error.errno == errno.ENXIO, error
        break
    at = os.lseek(disk, start, os.SEEK_HOLE)
    assert at > start, "a hole where data was found"
    ranges.append([start, at])
print(json.dumps(ranges))
`;
  return JSON.parse(run("python3", ["-c", script, path]));
}

/** The offset found, or the name of the error. */
function seek(path: string, kind: "DATA" | "HOLE", offset: number): unknown {
  const script = `
import errno, json, os, sys
disk = os.open(sys.argv[1], os.O_RDONLY)
try:
    print(os.lseek(disk, int(sys.argv[3]), os.SEEK_${kind}))
except OSError as error:
    print(json.dumps(errno.errorcode[error.errno]))
`;
  return JSON.parse(run("python3", ["-c", script, path, kind, String(offset)]));
}
