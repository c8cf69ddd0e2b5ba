import { describe, expect, test } from "vitest";
import { ImageError } from "../../src/util/errors.js";
import { explain, hintOf } from "../../src/util/explain.js";
import { formatSize, parseSize } from "../../src/util/size.js";
import { printable, quote, withoutTrailingZeros } from "../../src/util/text.js";

describe("text for people", () => {
  test("names from an image cannot move the cursor or hide", () => {
    expect(quote("a\x1b[2Jb\n\u202ec\ud800")).toBe('"a\\x1b[2Jb\\x0a\\u{202e}c\ufffd"');
    expect(printable("grün 磁盘")).toBe("grün 磁盘");
  });

  test.each([
    [0, "0 bytes"],
    [1, "1 byte"],
    [1023, "1023 bytes"],
    [1536, "1.5 KiB"],
    [40_000_000, "38.1 MiB"],
    [2 ** 44, "16 TiB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });

  test.each([
    ["512", 512],
    ["0x200", 512],
    ["64M", 2 ** 26],
    ["64MiB", 2 ** 26],
    ["1.5k", 1536],
    ["", undefined],
    ["-1", undefined],
    ["1.5", undefined],
    ["9999P", undefined],
    ["12 apples", undefined],
  ])("the size %s is %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test("an error tells file, what, and where", () => {
    const error = new ImageError("CORRUPT", "the block size is 100, not a multiple of 512", {
      file: "disk.vdi",
      position: 0x178,
      hint: "Do.",
    });
    expect(explain(error)).toBe("disk.vdi: the block size is 100, not a multiple of 512 (at byte 0x178)");
    expect(hintOf(error)).toBe("Do.");
    expect(explain(new Error("plain"))).toBe("plain");
  });
});

test("zeros at the end go, whatever stands before them, and in no time", () => {
  expect(["", "a", "a\0\0", "\0\0", "a\0b\0"].map(withoutTrailingZeros)).toEqual(["", "a", "a", "", "a\0b"]);
  const long = `${"\0".repeat(2 ** 22)}x`;
  expect(withoutTrailingZeros(long)).toBe(long);
});
