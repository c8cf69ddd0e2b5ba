// What is no image that can be read here is refused by name, in one line.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import { noise } from "../support/content.js";
import { storeData } from "../support/cd-builder.js";
import { tempDirectory } from "../support/temp.js";

const directory = tempDirectory();

function refusalOf(name: string, content: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  try {
    openDisk(path).close();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "none";
}

/** Noise with a mark at its start, or, where `at` is negative, before its end. */
function marked(mark: string, at = 0): Buffer {
  const content = Buffer.from(noise(7, 9000));
  content.write(mark, at < 0 ? content.length + at : at, "latin1");
  return content;
}

describe("what is refused by name", () => {
  test.each([
    ["a.rar", marked("Rar!\x1a\x07\x01\0"), /a RAR archive/],
    ["a.7z", marked("7z\xbc\xaf\x27\x1c"), /a 7-Zip archive/],
    ["a.cab", marked("MSCF\0\0\0\0"), /a cabinet archive/],
    ["a.deb", marked("!<arch>\n"), /a Debian package/],
    ["a.rpm", marked("\xed\xab\xee\xdb"), /an RPM package/],
    ["a.pkg", marked("xar!\0\x1c"), /a macOS package/],
    ["a.tar.Z", marked("\x1f\x9d\x90"), /compress \(.Z\)/],
    [
      "a.exe",
      Buffer.concat([marked("MZ").fill(0, 0x3c, 0x40).fill(0x80, 0x3c, 0x3d).fill("PE\0\0", 0x80, 0x84, "latin1")]),
      /a program of Windows or EFI/,
    ],
    // What follows is an image, whatever it is called.
    ["install.img", marked("MSWIM\0\0\0"), /a Windows image \(WIM, ESD, SWM\)/],
    ["a.img", marked("MComprHD"), /\(CHD\)/],
    ["a.daa", marked("DAA\0\0\0\0\0"), /PowerISO/],
    ["a.uif", marked("bbis", -64), /MagicISO/],
    ["a.isz", marked("IsZ!"), /UltraISO/],
    ["a.cso", marked("CISO"), /game consoles/],
    ["a.ecm", marked("ECM\0"), /\(ECM\)/],
    ["a.b6t", marked("BWT5 STREAM SIGN"), /BlindWrite/],
    ["a.cdi", marked("\x06\0\0\x80\x99\0\0\0", -8), /DiscJuggler \(CDI\)/],
  ] as const)("%s", (name, content, why) => {
    expect(refusalOf(name, content)).toMatch(why);
  });

  test("DiscJuggler's images, though they begin with sectors of a CD: those of the gap before the first track", () => {
    const sectors = storeData(noise(3, 20 * 2048));
    const tail = Buffer.from("\x05\0\0\x80\x10\0\0\0", "latin1");
    expect(refusalOf("plain.bin", sectors)).toBe("none");
    expect(refusalOf("a.cdi", Buffer.concat([sectors, noise(1, 500), tail]))).toMatch(/DiscJuggler/);
    expect(refusalOf("a.bin", Buffer.concat([sectors, noise(1, 500), tail]))).toMatch(/DiscJuggler/);
  });
});
