// The same images read by other programs, and file systems of the field on discs.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openIso } from "../../src/containers/iso9660/index.js";
import { ccd } from "../../src/formats/ccd/index.js";
import { cdRaw } from "../../src/formats/cd-raw/index.js";
import { cdrdao } from "../../src/formats/cdrdao/index.js";
import { cue } from "../../src/formats/cue/index.js";
import type { Layer } from "../../src/formats/driver.js";
import { mds } from "../../src/formats/mds/index.js";
import { nrg } from "../../src/formats/nrg/index.js";
import { readDisk } from "../../src/disk/read.js";
import { createBlockCache } from "../../src/disk/cache.js";
import type { Source } from "../../src/source/source.js";
import { buildMds, buildNrg, ccdText, sound, storeData, swapped, time, wav } from "../support/cd-builder.js";
import { noise } from "../support/content.js";
import { contentOf, openDisc, trackNamed } from "../support/discs.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { contentOf as fileContent } from "../support/trees.js";

const directory = tempDirectory();
const tree = join(directory, "tree");
const files = { "one.bin": noise(1, 100_001), "two.txt": Buffer.from("two\n") };
const sounds = [sound(1, 400), sound(2, 350)] as const;
let iso = Buffer.alloc(0);

describe.skipIf(!requireProgram("genisoimage"))("discs that other programs read too", () => {
  beforeAll(() => {
    mkdirSync(tree);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(tree, name), content);
    run("genisoimage", ["-quiet", "-R", "-J", "-pad", "-o", join(directory, "a.iso"), tree]);
    iso = readFileSync(join(directory, "a.iso"));
  });

  /** Writes files to a folder of their own. */
  function written(contents: Readonly<Record<string, Uint8Array | string>>): string {
    const folder = subdirectory(directory);
    for (const [name, content] of Object.entries(contents)) writeFileSync(join(folder, name), content);
    return folder;
  }
  /** These programs say nothing with their exit status. */
  const runIn = (folder: string, program: string, ...args: string[]) =>
    spawnSync(program, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).stdout;
  const sameDisk = (layer: Layer, other: Uint8Array) => {
    expect(difference(contentOf(layer), other)).toBeUndefined();
    expect(difference(contentOf(layer), iso)).toBeUndefined();
  };
  const cueOf = (mode: string, more = "") => `FILE "a.bin" BINARY\n  TRACK 01 ${mode}\n    INDEX 01 00:00:00\n${more}`;
  const audioPart = () => {
    const sectors = iso.length / 2048;
    const [first, second] = [time(sectors), time(sectors + 400)];
    return `  TRACK 02 AUDIO\n    INDEX 01 ${first}\n  TRACK 03 AUDIO\n    INDEX 00 ${time(sectors + 300)}\n    INDEX 01 ${second}\n`;
  };

  test.skipIf(!requireProgram("bchunk"))("bchunk: a cue sheet with data and sound", () => {
    const sheet = cueOf("MODE1/2352", audioPart());
    const image = Buffer.concat([storeData(iso), ...sounds]);
    const folder = written({ "a.bin": image, "a.cue": sheet });
    runIn(folder, "bchunk", "-w", "a.bin", "a.cue", "o");
    const layer = openDisc(cue, "a.cue", sheet, { "a.bin": image });
    sameDisk(layer, readFileSync(join(folder, "o01.iso")));
    const wavOf = (number: string) => readFileSync(join(folder, `o${number}.wav`));
    expect(difference(contentOf(trackNamed(layer, "03.wav")), wavOf("03"))).toBeUndefined();
    // It leaves away the pause behind a track, which is 100 sectors here.
    const second = contentOf(trackNamed(layer, "02.wav"));
    expect(difference(second.subarray(44, -100 * 2352), wavOf("02").subarray(44))).toBeUndefined();
    expect(difference(second, wav(sounds[0]))).toBeUndefined();
  });

  test.skipIf(!requireProgram("bchunk"))("bchunk: mode 2", () => {
    const image = storeData(iso, { mode: 2 });
    const folder = written({ "a.bin": image, "a.cue": cueOf("MODE2/2352") });
    runIn(folder, "bchunk", "a.bin", "a.cue", "o");
    sameDisk(openDisc(cue, "a.cue", cueOf("MODE2/2352"), { "a.bin": image }), readFileSync(join(folder, "o01.iso")));
  });

  test.skipIf(!requireProgram("ccd2iso"))("ccd2iso: mode 1 and mode 2", () => {
    for (const mode of [1, 2] as const) {
      const image = storeData(iso, { mode });
      const folder = written({ "a.img": image });
      runIn(folder, "ccd2iso", "a.img", "o.iso");
      const text = ccdText([{ number: 1, start: 0 }], [iso.length / 2048]);
      sameDisk(openDisc(ccd, "a.ccd", text, { "a.img": image }), readFileSync(join(folder, "o.iso")));
    }
  });

  test.skipIf(!requireProgram("mdf2iso"))("mdf2iso: whole sectors", () => {
    const image = storeData(iso);
    const folder = written({ "a.mdf": image });
    runIn(folder, "mdf2iso", "a.mdf", "o.iso");
    const other = readFileSync(join(folder, "o.iso"));
    const sheet = buildMds([{ number: 1, mode: 0xaa, sectorSize: 2352, start: 0, position: 0, length: iso.length / 2048 }]);
    sameDisk(openDisc(mds, "a.mds", sheet, { "a.mdf": image }), other);
    sameDisk(openDisc(cdRaw, "a.mdf", image), other);
  });

  test.skipIf(!requireProgram("iat"))("iat: sectors of 2336, 2352 and 2448 bytes", () => {
    for (const shape of [{ mode: 2, sectorSize: 2336 }, {}, { mode: 2 }, { subchannel: 96 }] as const) {
      const image = storeData(iso, shape);
      const folder = written({ "a.bin": image });
      runIn(folder, "iat", "a.bin", "o.iso");
      // It goes on to the end of the file: the last sector's tail comes with it.
      sameDisk(openDisc(cdRaw, "a.bin", image), readFileSync(join(folder, "o.iso")).subarray(0, iso.length));
    }
  });

  test.skipIf(!requireProgram("nrg2iso"))("nrg2iso: disc at once, sectors of 2048 bytes", () => {
    const track = { mode: 0, sectorSize: 2048, pregap: 150, content: Buffer.concat([Buffer.alloc(150 * 2048), iso]), start: 0 };
    const image = buildNrg([[track]], 2, true);
    const folder = written({ "a.nrg": image });
    runIn(folder, "nrg2iso", "a.nrg", "o.iso");
    // It leaves the chunks where they are.
    sameDisk(openDisc(nrg, "a.nrg", image), readFileSync(join(folder, "o.iso")).subarray(0, iso.length));
  });

  /** Tracks and lead-out, with the sectors at which cd-info says that they begin. */
  const cdInfo = (folder: string, ...args: string[]) =>
    [
      ...runIn(folder, "cd-info", "--no-header", "--no-device-info", "--no-cddb", ...args).matchAll(
        /^\s*(\d+): \d\d:\d\d:\d\d\s+(\d{6}) (\w+)/gm,
      ),
    ].map(([, number, sector, kind]) => [Number(number), Number(sector), kind]);

  test.skipIf(!requireProgram("cd-info"))("cd-info: where the tracks are", () => {
    const sectors = iso.length / 2048;
    const sheet = cueOf("MODE1/2352", audioPart());
    const image = Buffer.concat([storeData(iso), ...sounds]);
    const layer = openDisc(cue, "a.cue", sheet, { "a.bin": image });
    const [second, third, end] = [layer.size / 2048, layer.size / 2048 + 400, layer.size / 2048 + 750];
    expect(trackNamed(layer, "02.wav").size).toBe(44 + (third - second) * 2352);
    expect(trackNamed(layer, "03.wav").size).toBe(44 + (end - third) * 2352);
    expect(cdInfo(written({ "a.bin": image, "a.cue": sheet }), "-c", "a.cue")).toEqual([
      [1, 0, "data"],
      [2, second, "audio"],
      [3, third, "audio"],
      [170, end, "leadout"],
    ]);
    const taos = [1, 2].map((version) => buildNrg([[{ mode: 0, sectorSize: 2048, content: iso, start: 0 }]], version as 1 | 2, false));
    for (const tao of taos) {
      expect(openDisc(nrg, "a.nrg", tao).size).toBe(iso.length);
      expect(cdInfo(written({ "a.nrg": tao }), "-N", "a.nrg")).toEqual([
        [1, 0, "data"],
        [170, sectors, "leadout"],
      ]);
    }
  });

  test.skipIf(!requireProgram("cdrdao"))("cdrdao: its toc-file, and the cue sheet that toc2cue makes of it", () => {
    const sectors = iso.length / 2048;
    const image = Buffer.concat([storeData(iso), ...sounds.map(swapped)]);
    const toc =
      `CD_ROM\n\nTRACK MODE1_RAW\nNO COPY\nDATAFILE "a.bin" ${time(sectors)}\n\nTRACK AUDIO\nFILE "a.bin" #${sectors * 2352} 0 ${time(400)}\n\n` +
      `TRACK AUDIO\nFILE "a.bin" #${(sectors + 400) * 2352} 0 ${time(350)}\nSTART 00:00:50\n`;
    const folder = written({ "a.bin": image, "a.toc": toc });
    const layer = openDisc(cdrdao, "a.toc", toc, { "a.bin": image });
    sameDisk(layer, iso);
    const told = [...runIn(folder, "cdrdao", "show-toc", "--force", "a.toc").matchAll(/(START|END)\s+[\d:]+\(\s*(\d+)\)/g)].map(
      ([, , sector]) => Number(sector),
    );
    const [second, third, end] = [sectors, sectors + 450, sectors + 750];
    // The pause of the third track is its own there.
    expect(told).toEqual([0, second, second, third - 50, third, end]);
    expect((layer.tracks ?? []).map(({ size }) => (size - 44) / 2352)).toEqual([third - second, end - third]);
    runIn(folder, "toc2cue", "a.toc", "o.cue");
    const byCue = openDisc(cue, "o.cue", readFileSync(join(folder, "o.cue")), { "a.bin": Buffer.concat([storeData(iso), ...sounds]) });
    sameDisk(byCue, iso);
    for (const name of ["02.wav", "03.wav"]) {
      expect(difference(contentOf(trackNamed(byCue, name)), contentOf(trackNamed(layer, name))), name).toBeUndefined();
    }
    expect(
      difference(contentOf(trackNamed(layer, "02.wav")), wav(Buffer.concat([sounds[0], sounds[1].subarray(0, 50 * 2352)]))),
    ).toBeUndefined();
  });

  /** The disk as what a file system is looked for on. */
  function diskOf(layer: Layer): Source {
    const cache = createBlockCache(2 ** 20);
    return {
      name: layer.name,
      size: layer.size,
      read: (target, position) => readDisk(layer, target, position, cache),
      close: () => undefined,
    };
  }
  const namesOn = (layer: Layer, session?: number) => {
    const container = openIso(diskOf(layer), { sessions: layer.sessions, session });
    const names = [...container.list(container.root.id)];
    for (const [name, { id }] of names) {
      const expected = { ...files, "three.bin": noise(3, 50_000) }[name];
      expect(difference(fileContent(container, id), expected ?? Buffer.alloc(0)), name).toBeUndefined();
    }
    return names.map(([name]) => name).sort();
  };

  test("a second session shows what the first holds", () => {
    const sectors = iso.length / 2048;
    const start = sectors + 11_400;
    const more = join(subdirectory(directory), "more");
    mkdirSync(more);
    writeFileSync(join(more, "three.bin"), noise(3, 50_000));
    const out = join(directory, "b.iso");
    run("genisoimage", ["-quiet", "-R", "-J", "-C", `0,${start}`, "-M", join(directory, "a.iso"), "-o", out, more]);
    const second = readFileSync(out);
    const sheet = `${cueOf("MODE1/2352")}REM SESSION 02\nFILE "b.bin" BINARY\n  TRACK 02 MODE1/2352\n    INDEX 01 00:00:00\n`;
    const layer = openDisc(cue, "a.cue", sheet, { "a.bin": storeData(iso), "b.bin": storeData(second, { first: start }) });
    expect(layer.sessions).toEqual([0, start * 2048]);
    expect(namesOn(layer)).toEqual(["one.bin", "three.bin", "two.txt"]);
    expect(namesOn(layer, 1)).toEqual(["one.bin", "two.txt"]);
  });

  test("data behind sound (CD-Extra)", () => {
    const start = 400 + 11_400;
    const out = join(directory, "c.iso");
    run("genisoimage", ["-quiet", "-R", "-J", "-C", `0,${start}`, "-o", out, tree]);
    const data = readFileSync(out);
    const sheet = `FILE "a.bin" BINARY\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\nREM SESSION 02\nFILE "b.bin" BINARY\n  TRACK 02 MODE2/2352\n    INDEX 01 00:00:00\n`;
    const layer = openDisc(cue, "a.cue", sheet, { "a.bin": sounds[0], "b.bin": storeData(data, { mode: 2, first: start }) });
    expect(namesOn(layer)).toEqual(["one.bin", "two.txt"]);
    expect(difference(contentOf(trackNamed(layer, "02.iso")), data)).toBeUndefined();
  });
});
