import { afterEach, describe, expect, test, vi } from "vitest";
import { hasStreams, openStream, type NativeStream, type StreamStart } from "../../src/native/streams.js";
import { memorySource } from "../../src/source/memory.js";
import { noise, text } from "../support/content.js";
import { filter } from "../support/packed-contract.js";
import { requireProgram } from "../support/qemu.js";
import { difference } from "../support/reading.js";

const content = Buffer.concat([text(1, 60_000), noise(2, 5000)]);
const limit = 2 ** 28;

/** Decodes with at most `input` bytes in and `output` bytes out per step. */
function decode(stream: NativeStream, packed: Uint8Array, input: number, output: number): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const target = Buffer.alloc(output);
    const state = stream.step(packed.subarray(at, at + input), target);
    at += stream.taken;
    pieces.push(target.subarray(0, stream.written));
    if (state === "ended") break;
    expect(state).toBe("goes on");
    expect(stream.taken + stream.written).toBeGreaterThan(0);
  }
  return Buffer.concat(pieces);
}

const kinds: readonly {
  readonly start: StreamStart;
  readonly program: string;
  readonly args: readonly string[];
  readonly damage: number;
}[] = [
  // A byte that is under a check.
  { start: { kind: "zstd", limit: 27 }, program: "zstd", args: ["-c"], damage: -1 },
  { start: { kind: "bzip2" }, program: "bzip2", args: ["-c"], damage: 10 },
  { start: { kind: "lzma", limit }, program: "xz", args: ["-c", "--format=lzma"], damage: 13 },
  { start: { kind: "lzip", limit }, program: "lzip", args: ["-c"], damage: -20 },
];

describe.skipIf(!hasStreams)("streams", () => {
  for (const { start, program, args, damage } of kinds) {
    describe.skipIf(!requireProgram(program))(start.kind, () => {
      const packed = filter(program, args, content);
      const open = () => {
        const stream = openStream(start);
        if (typeof stream === "string") expect.fail(stream);
        return stream;
      };

      test.each([
        [1_000_000, 1_000_000],
        [1, 1000],
        [1000, 61],
        [4096, 333],
      ])("%d bytes in, %d bytes out", (input, output) => {
        const stream = open();
        expect(difference(decode(stream, packed, input, output), content)).toBeUndefined();
        expect(stream.memory).toBeGreaterThan(1000);
        stream.close();
      });

      test("damage is told, once closed it is closed", () => {
        const stream = open();
        const damaged = Buffer.from(packed);
        damaged[damage < 0 ? packed.length + damage : damage]! ^= 1;
        const target = Buffer.alloc(100_000);
        let state = stream.step(damaged, target);
        if (state === "goes on") state = stream.step(damaged.subarray(stream.taken), target);
        expect(state).toBe("damaged");
        stream.close();
        stream.close();
        expect(() => stream.step(packed, target)).toThrow("closed");
      });
    });
  }

  test("headers of xz blocks that are none", () => {
    for (const header of [[0], [2], [255], [2, 0, 0x21, 1, 0, 0, 0, 0, 1, 2, 3, 4]]) {
      expect(openStream({ kind: "xz block", header: Uint8Array.from(header), check: 0, limit })).toBe("damaged");
    }
    expect(openStream({ kind: "xz block", header: new Uint8Array(0), check: 0, limit })).toBe("damaged");
  });
});

describe("without the addon", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  test("what needs it says so", async () => {
    vi.stubEnv("FLATMOUNT_NO_ADDON", "1");
    vi.resetModules();
    const { packedDrivers } = await import("../../src/source/packed/registry.js");
    const options = { degraded: false, damage: () => undefined, progress: () => undefined };
    for (const name of ["xz", "zstd", "bzip2", "lzip", "lzma"]) {
      const driver = packedDrivers.find((each) => each.name === name);
      // The class of the error is that of the modules loaded anew.
      let thrown: unknown;
      try {
        driver?.index(memorySource("a", Buffer.alloc(100)), options);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: "UNSUPPORTED", message: `it is compressed with ${name}, which needs the native addon` });
    }
  });
});
