import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { fileSource, openFile } from "../../src/source/file.js";
import type { Source } from "../../src/source/source.js";
import { memoryFile } from "../../src/tree/flat.js";
import type { FlatFile } from "../../src/tree/node.js";
import { noise } from "../support/content.js";
import { contentOf, flatFileOf, indexOf, type Piece, type Written } from "../support/erofs-index.js";
import { difference } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
let many: Source;
let odd: Source;
beforeAll(() => {
  const source = (name: string, size: number) => {
    writeFileSync(join(directory, name), noise(size, size));
    return fileSource(openFile(join(directory, name), { devices: false }));
  };
  many = source("many", 20_000_000 - (20_000_000 % 65_536));
  odd = source("odd", 3_000_000 + 777);
});

/** Every file as the independent reader sees it. */
function expectSame({ parsed, leftOut }: Written, files: readonly FlatFile[]): void {
  expect(leftOut).toEqual([]);
  for (const [index, file] of files.entries()) {
    const found = parsed.list(parsed.root).get(`${index}`);
    expect(found && difference(parsed.read(found), contentOf(file))).toBeUndefined();
  }
}

describe("the end of an index", () => {
  test.each([4095, 4096, 8192, 12_288])("a last file of %d bytes that is copied into it", (size) => {
    const files = [memoryFile("m", noise(1, size))];
    expectSame(indexOf(directory, files), files);
  });

  test("chunks whose entries end with a block", () => {
    // The inode of the file stands at byte 128 of its block: 488 entries fill that one, and 512 each further one.
    const files = [flatFileOf(Array.from({ length: 488 + 512 }, (_, index) => piece(many, 4096, (999 - index) * 4096)))];
    const last = [flatFileOf([...Array.from({ length: 999 }, (_, index) => piece(many, 4096, (999 - index) * 4096)), { length: 4096 }])];
    expectSame(indexOf(directory, files), files);
    expectSame(indexOf(directory, last), last);
  });
});

function piece(source: Source, length: number, position: number): Piece {
  return { length, source, position };
}

describe("borders", () => {
  test("bytes that go on in another file at the same place", () => {
    // What is looked at first allows chunks of 8 KiB; the two files come later.
    const first = Array.from({ length: 1100 }, (_, index) => piece(many, 8192, ((index * 7) % 1100) * 8192));
    const files = [flatFileOf([...first, piece(many, 4096, 1_228_800), piece(odd, 4096, 1_232_896)])];
    const index = indexOf(directory, files);
    expectSame(index, files);
    expect(index.devices).toHaveLength(2);
  });
});
