import { readPartitions } from "../../../src/disk/partitions/read.js";
import { readVolumes } from "../../../src/disk/volumes/read.js";
import { isCount, promise } from "../problem.js";
import type { Run } from "../run.js";

/** Reads the partition table of the input's first file, and its volumes. */
export function checkTables(run: Run): void {
  const source = run.open(0);
  const sectorSize = run.random.once(4) ? run.random.pick([512, 1024, 2048, 4096]) : undefined;
  const disk = { size: source.size, read: source.read, ...(sectorSize !== undefined && { sectorSize }) };
  const table = readPartitions(disk);
  run.tell(JSON.stringify(table));
  const numbers = new Set<number>();
  for (const { number, start, size } of table?.partitions ?? []) {
    promise(!numbers.has(number) && isCount(number), () => `partition ${number} twice`);
    numbers.add(number);
    promise(
      isCount(start) && start < source.size && isCount(size) && size >= 1,
      () => `partition ${number}: ${size} bytes at ${start} of ${source.size}`,
    );
  }
  checkNotes(table?.notes ?? []);
  const { volumes, notes } = readVolumes(disk, table);
  run.tell(JSON.stringify(volumes));
  checkNotes(notes);
  const names = new Set<string>();
  for (const { name, size, pieces } of volumes) {
    promise(/^(?!\.{1,2}$)[^/\p{Cc}]+$/u.test(name) && Buffer.byteLength(name) < 230, () => `a volume called ${JSON.stringify(name)}`);
    promise(!names.has(name), () => `two volumes called ${name}`);
    names.add(name);
    let offset = 0;
    for (const piece of pieces) {
      const lies = piece.offset === offset && isCount(piece.start) && piece.size >= 1 && piece.start + piece.size <= source.size;
      promise(lies, () => `the volume ${name}: ${JSON.stringify(piece)} behind ${offset} bytes`);
      offset += piece.size;
    }
    promise(offset === size && size >= 1, () => `the volume ${name} has ${size} bytes, its pieces ${offset}`);
  }
  source.close();
}

function checkNotes(notes: readonly string[]): void {
  promise(notes.length <= 65, () => `${notes.length} notes`);
  for (const note of notes) promise(note !== "", () => "an empty note");
}
