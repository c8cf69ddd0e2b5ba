// What stands where an image names a file: links, mounts, devices, pipes. Tested from the outside, on the file system.
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { confine } from "../../src/disk/confine.js";
import { binding } from "../../src/native/binding.js";
import { openView } from "../../src/tree/view.js";
import { explain } from "../../src/util/explain.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildOvf } from "../support/ovf-builder.js";
import { buildDescriptor } from "../support/parallels-builder.js";
import { buildQed } from "../support/qed-builder.js";
import { difference, flatOf, imageErrorOf, refusalOf } from "../support/reading.js";
import { descriptor } from "../support/vmdk-descriptor-builder.js";

/** Of the disk, and of the file that is named: 2352 and 512 divide it. */
const SIZE = 147 * 1024;
const NAME = "disk.002";
const { write } = builtDisks();
const isRoot = process.geteuid?.() === 0;
const content = noise(1, SIZE);
const none = Array<"absent">(36).fill("absent");
const id = "11111111-2222-3333-4444-555555555555";

/** Every way in which an image has the file `disk.002` beside it opened; the first file is the image. */
const namers: Readonly<Record<string, Parameters<typeof write>[0]>> = {
  "a backing file": { "a.qcow2": { size: SIZE, clusters: new Map(), backing: { name: NAME, format: "raw" } } },
  "a data file": {
    "a.qcow2": { size: SIZE, clusters: new Map([[0, { kind: "data", content: Buffer.alloc(4096) }]]), dataFile: NAME, autoclear: 2n },
  },
  "a backing file of QED": { "a.qed": buildQed({ clusters: none, backing: { name: NAME, disk: content, raw: true } }).image },
  "an extent": { "a.vmdk": descriptor({ lines: [`RW ${SIZE / 512} FLAT "${NAME}" 0`] }) },
  "a track": { "a.cue": Buffer.from(`FILE "${NAME}" BINARY\n  TRACK 01 MODE1/2048\n    INDEX 01 00:00:00\n`) },
  "a part": { "disk.001": noise(2, 4096) },
  "a storage": {
    "DiskDescriptor.xml": buildDescriptor({
      sectors: SIZE / 512,
      storages: [{ start: 0, end: SIZE / 512, images: [{ id, type: "Plain", file: NAME }] }],
      shots: [{ id }],
      top: id,
    }),
  },
};

/** Puts something else than a file at `path`. */
const obstacles: Readonly<
  Record<string, { readonly put: (path: string) => void; readonly words: RegExp; readonly root?: true; readonly notFor?: string }>
> = {
  "a link to a file elsewhere": { put: (path) => symlinkSync(write({ key: content }), path), words: /outside the folder|cannot be read/ },
  "a link to a link elsewhere": {
    put(path) {
      symlinkSync(write({ key: content }), `${path}.link`);
      symlinkSync(`${basename(path)}.link`, path);
    },
    words: /outside the folder/,
  },
  "a link through /proc/self/root": { put: (path) => symlinkSync("/proc/self/root/etc/passwd", path), words: /outside the folder/ },
  "a link to itself": { put: (path) => symlinkSync(path, path), words: /is missing|form a loop/ },
  "a link to a device": { put: (path) => symlinkSync("/dev/zero", path), words: /outside the folder|not a regular file|is a device/ },
  "a directory": { put: (path) => mkdirSync(path), words: /is a directory|is missing|not a regular file/, notFor: "a part" },
  "a pipe": { put: (path) => execFileSync("mkfifo", [path]), words: /not a regular file/ },
  "a character device": { put: (path) => execFileSync("mknod", [path, "c", "1", "5"]), words: /not a regular file/, root: true },
  "a block device": { put: (path) => execFileSync("mknod", [path, "b", "7", "0"]), words: /not a regular file/, root: true },
};

const placed = (files: Parameters<typeof write>[0]) => {
  const image = write(files);
  return { image, target: join(dirname(image), NAME) };
};

describe.each(Object.entries(namers))("%s", (namer, files) => {
  test("is read where it is a file: the tests below refuse what stands there, and nothing else", () => {
    const { image, target } = placed(files);
    writeFileSync(target, content);
    expect(flatOf(image).length).toBeGreaterThanOrEqual(SIZE - 4096);
  });

  for (const [what, { put, words, root, notFor }] of Object.entries(obstacles)) {
    if (notFor === namer) continue;
    test.skipIf(root && !isRoot)(`that is ${what}: nothing of it is shown`, () => {
      const { image, target } = placed(files);
      put(target);
      const error = refusalOf(image);
      expect(explain(error)).toMatch(words);
      expect(explain(error)).not.toContain("\n");
    });
  }

  test("that is a socket: nothing of it is shown", async () => {
    const { image, target } = placed(files);
    const server = createServer();
    await new Promise<void>((done) => server.listen(target, done));
    try {
      expect(explain(refusalOf(image))).toMatch(/not a regular file/);
    } finally {
      server.close();
    }
  });
});

describe("names of other places", () => {
  const naming = (name: string) => write({ "a.qcow2": { size: SIZE, clusters: new Map(), backing: { name, format: "raw" } } });

  test.each(["/proc/self/fd/", "/dev/fd/", `/proc/${process.pid}/fd/`, "/proc/thread-self/fd/"])(
    "%s: a file that the daemon has open, such as another user's image, is not shown",
    (folder) => {
      const fd = openSync(write({ key: content }), "r");
      try {
        expect(refusalOf(naming(`${folder}${fd}`)).code).toBe("PART_DENIED");
      } finally {
        closeSync(fd);
      }
    },
  );

  test("an image that is named by a descriptor has no other descriptor shown", () => {
    const key = openSync(write({ key: content }), "r");
    const image = openSync(naming(String(key)), "r");
    try {
      expect(refusalOf(`/proc/self/fd/${image}`).code).toMatch(/^PART_/);
    } finally {
      closeSync(image);
      closeSync(key);
    }
  });

  test("a package that names a file outside has nothing of it shown", () => {
    const path = write({ key: content });
    const hrefs = [path, `../${basename(dirname(path))}/key`, `file://${path}`, "link.vmdk"];
    const image = write({
      "a.ovf": Buffer.from(
        buildOvf({
          files: hrefs.map((href, index) => ({ id: `f${index}`, href })),
          disks: hrefs.map((_, index) => ({ id: `d${index}`, file: `f${index}`, capacity: String(SIZE) })),
        }),
      ),
    });
    symlinkSync(path, join(dirname(image), "link.vmdk"));
    const inode = statSync(path).ino;
    const error = imageErrorOf(() => {
      const view = openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: 2 ** 20 });
      try {
        const told = JSON.stringify(view.description);
        for (const href of hrefs) expect(told).toContain(href);
        expect(view.disk.files.map(({ identity }) => identity.split(":")[1])).not.toContain(String(inode));
        expect(opened()).not.toContain(inode);
      } finally {
        view.close();
      }
    });
    if (error) expect(error.code).toMatch(/^PART_/);
  });
});

/** Inode numbers of what this process has open. */
function opened(): number[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [fstatSync(Number(fd)).ino];
    } catch {
      return [];
    }
  });
}

describe("what is in the folder, whatever brought it there", () => {
  const files = namers["a backing file"] ?? {};

  test("a hard link is the file itself: nothing tells it from one, so it is read", () => {
    const { image, target } = placed(files);
    const elsewhere = write({ x: content });
    linkSync(elsewhere, target);
    expect(difference(flatOf(image), content)).toBeUndefined();
  });

  test("a link that stays in the folder is followed", () => {
    const { image, target } = placed(files);
    mkdirSync(join(dirname(image), "sub"));
    writeFileSync(join(dirname(image), "sub", "real"), content);
    symlinkSync(join(dirname(image), "sub"), join(dirname(image), "way"));
    symlinkSync("way/real", target);
    expect(difference(flatOf(image), content)).toBeUndefined();
  });

  test.skipIf(!isRoot)("what the administrator mounted there is read", () => {
    const { image, target } = placed(files);
    writeFileSync(target, "");
    try {
      execFileSync("mount", ["--bind", write({ x: content }), target], { stdio: "ignore" });
    } catch {
      return;
    }
    onTestFinished(() => void execFileSync("umount", [target]));
    expect(difference(flatOf(image), content)).toBeUndefined();
  });

  test.skipIf(!isRoot)("a mounted folder is read, and a link out of it is not followed", () => {
    const image = write({ "a.qcow2": { size: SIZE, clusters: new Map(), backing: { name: "sub/x", format: "raw" } } });
    const sub = join(dirname(image), "sub");
    mkdirSync(sub);
    const other = write({ x: content });
    try {
      execFileSync("mount", ["--bind", dirname(other), sub], { stdio: "ignore" });
    } catch {
      return;
    }
    onTestFinished(() => void execFileSync("umount", [sub]));
    expect(difference(flatOf(image), content)).toBeUndefined();
    renameSync(other, `${other}.old`);
    symlinkSync(write({ key: content }), other);
    expect(refusalOf(image).code).toBe("PART_DENIED");
  });
});

test("a pipe is refused without being opened: whoever waits to write into it goes on waiting", async () => {
  const { image, target } = placed(namers["a backing file"] ?? {});
  execFileSync("mkfifo", [target]);
  const woken = `${target}.woken`;
  const writer = spawn("sh", ["-c", 'exec 3>"$1"; : >"$2"', "sh", target, woken], { stdio: "ignore" });
  try {
    await setTimeout(300);
    for (let turn = 0; turn < 20; turn += 1) expect(refusalOf(image).code).toBe("UNREADABLE");
    await setTimeout(100);
    expect(existsSync(woken)).toBe(false);
  } finally {
    writer.kill("SIGKILL");
  }
});

describe("a name that becomes another file between the look at it and its opening", () => {
  const folder = () => {
    const inside = write({ "sub/x": Buffer.from("inside") });
    const outside = write({ x: Buffer.from("outside") });
    return { root: dirname(dirname(inside)), inside, outside };
  };

  test.skipIf(!binding)("the system finds nothing through a link, wherever in the name it is, and nothing outside", () => {
    const { root, inside, outside } = folder();
    const find = (name: string, from = root) => {
      try {
        closeSync(binding?.findBeneath(from, name) ?? -1);
        return "found";
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };
    symlinkSync(outside, join(root, "file"));
    symlinkSync(dirname(outside), join(root, "folder"));
    symlinkSync(root, `${root}-link`);
    const fd = openSync(outside, "r");
    try {
      if (find("sub/x") === "ENOSYS") return;
      expect(find("sub/x")).toBe("found");
      expect(find("sub/y")).toBe("ENOENT");
      expect(["file", "folder/x", "folder"].map((name) => find(name))).toEqual(["ELOOP", "ELOOP", "ELOOP"]);
      expect(find("x", join(`${root}-link`, "sub"))).toBe("ELOOP");
      expect([outside, `../${basename(dirname(outside))}/x`, "sub/../../x"].map((name) => find(name))).toEqual(["EXDEV", "EXDEV", "EXDEV"]);
      expect(find(`fd/${fd}`, "/proc/self")).toBe("ELOOP");
      expect(find(`fd/${fd}`, `/proc/${process.pid}`)).toBe("ELOOP");
      expect(existsSync(inside)).toBe(true);
    } finally {
      closeSync(fd);
    }
  });

  test("two seconds of tries while another thread changes the folder for a link show nothing but what is inside", async () => {
    const { root, inside, outside } = folder();
    writeFileSync(join(root, "image"), "");
    const { find } = confine(join(root, "image"), []);
    const wanted = statSync(inside).ino;
    expect(statSync(outside).ino).not.toBe(wanted);
    // The folder and a link to another folder take turns under one name.
    const worker = new Worker(
      `const { renameSync, symlinkSync } = require("node:fs");
       const { workerData: { name, other } } = require("node:worker_threads");
       symlinkSync(other, name + ".link");
       const wait = () => { for (let left = Math.random() * 5000; left > 0; left -= 1); };
       for (;;) {
         renameSync(name, name + ".kept");
         renameSync(name + ".link", name);
         wait();
         renameSync(name, name + ".link");
         renameSync(name + ".kept", name);
         wait();
       }`,
      { eval: true, workerData: { name: dirname(inside), other: dirname(outside) } },
    );
    await new Promise((done) => worker.once("online", done));
    const results = { inside: 0, refused: 0, other: 0 };
    for (const end = Date.now() + 2000; Date.now() < end; ) {
      let fd: number | undefined;
      try {
        fd = find(inside);
      } catch {
        // Nothing is there for a moment.
      }
      if (fd === undefined) results.refused += 1;
      else {
        results[fstatSync(fd).ino === wanted ? "inside" : "other"] += 1;
        closeSync(fd);
      }
    }
    await worker.terminate();
    expect(results.other).toBe(0);
    expect(results.inside).toBeGreaterThan(0);
    expect(results.refused).toBeGreaterThan(0);
  });
});
