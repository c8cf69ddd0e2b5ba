// The declarations that are delivered: a program in strict TypeScript compiles with them, and only with what is there.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { beforeAll, expect, test } from "vitest";
import { tempDirectory } from "../support/temp.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const directory = tempDirectory();

const sound = `
import { ClosedError, formats, ImageError, openImage, openImageAsync, PathError, UserError, WorkerError } from "flatmount";
import type { AsyncImage, Image, ImageDescription, ImageExtent, ImageFile, OpenImageOptions, TreeEntry } from "flatmount";

const options: OpenImageOptions = { format: "qcow2", passwords: ["secret"] };
const image: Image = openImage("disk.qcow2", options);
const sector: Buffer = image.readAt(0, 512);
const description: ImageDescription = image.description;
const extents: ImageExtent[] = [...image.extents({ start: 0, end: 511 })];
const first: ImageFile | undefined = image.partitions[0];
const entries: TreeEntry[] = image.tree.list("files");
const number: number = image.disks[0]?.partitions[0]?.info.start ?? 0;
for await (const piece of image.createReadStream()) console.log(piece, sector, description, extents, first, entries, number, formats());
image.close();
const other: AsyncImage = await openImageAsync("disk.qcow2", { workers: 4, signal: AbortSignal.timeout(1000) });
for await (const { start, kind } of other.extents()) console.log(start, kind);
await other.read(new Uint8Array(512), 0);
await other.close();
export const classes: readonly (new (...all: never[]) => Error)[] = [ClosedError, ImageError, PathError, UserError, WorkerError];
`;

const wrong = `import { openImage, openDisk } from "flatmount";
openImage("disk", { format: "no such format" });
openImage("disk").read("text", 0);
openDisk();
`;

let program: ts.Program;
beforeAll(() => {
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(root, join(directory, "node_modules/flatmount"));
  symlinkSync(join(root, "node_modules/@types"), join(directory, "node_modules/@types"));
  const files = Object.entries({ "sound.mts": sound, "wrong.mts": wrong }).map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
  program = ts.createProgram(files, {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, preserveSymlinks: true },
    ...{ module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, types: ["node"], lib: ["lib.es2023.d.ts"] },
  });
});

/** What the compiler has to say of the files whose paths hold `part`. */
function complaints(part: string): string[] {
  const files = program.getSourceFiles().filter(({ fileName }) => fileName.includes(part));
  expect(files.length).toBeGreaterThan(0);
  return files
    .flatMap((file) => program.getSemanticDiagnostics(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

test("the declarations are sound, and a module compiles with them", () => {
  expect(complaints("/dist/types/")).toEqual([]);
  expect(complaints("sound.mts")).toEqual([]);
});

test("what is not there does not compile", () => {
  expect(complaints("wrong.mts")).toHaveLength(3);
});
