import type { Container, ContainerContext, ContainerDriver, ContainerOptions, Item } from "../../../src/containers/container.js";
import { createIndexStore } from "../../../src/disk/index-store.js";
import { createUnpacker } from "../../../src/disk/unpack.js";
import { ImageError } from "../../../src/util/errors.js";
import { harmlessJson } from "../../../src/util/text.js";
import { attempt, isCount, Problem, promise, textOf } from "../problem.js";
import type { Run } from "../run.js";
import { checkMapped } from "./mapped.js";

const DIRECTORIES = 24;
const ENTRIES = 300;
const FILES = 12;

/** Opens the input's first file as a container, beside the others, and looks at what is in it. */
export function checkContainer(run: Run, driver: ContainerDriver, options: ContainerOptions, sessions?: readonly number[]): void {
  const disk = run.open(0);
  if (driver.probe(disk, sessions)) {
    const container = attempt(() => driver.open(disk, contextOf(run, options, sessions)));
    if (container instanceof ImageError) {
      run.tell(textOf(container));
    } else {
      look(run, container, disk.size);
      container.close?.();
    }
  }
  disk.close();
  const left = run.left();
  if (left.length > 0) throw new Problem("leak", `left open: ${left.join()}`);
}

function contextOf(run: Run, options: ContainerOptions, sessions: readonly number[] | undefined): ContainerContext {
  const unpacker = createUnpacker(createIndexStore({}, undefined), { degraded: false });
  return {
    sessions,
    part: (name) => run.part(name),
    unpack(source, label) {
      const { source: inner, packings } = unpacker.unpack(source, label);
      return packings.length > 0 ? inner : undefined;
    },
    options,
  };
}

function look(run: Run, container: Container, diskSize: number): void {
  run.tell(harmlessJson(container.facts()));
  checkItem(container, container.root);
  promise(container.root.kind === "directory", () => `the root is a ${container.root.kind}`);
  walk(run, container);
  for (const { name, position, size } of container.bootImages ?? []) {
    promise(
      isCount(position) && size >= 1 && position + size <= diskSize,
      () => `the boot image ${name}: ${size} bytes at ${position} of ${diskSize}`,
    );
    checkName(name);
    run.tell(name, position, size);
  }
  const names = (container.disks ?? []).map(({ name }) => name);
  names.forEach(checkName);
  promise(new Set(names).size === names.length, () => `disks of the same name: ${names.join()}`);
  for (const disk of container.disks ?? []) run.tell(disk.name, disk.path, ...(disk.parts ?? []), disk.parent, disk.role);
  const outside = attempt(() => container.outside?.(run.input.files.at(-1)?.name ?? ""));
  run.tell(outside instanceof ImageError ? textOf(outside) : outside?.size);
  if (!run.thorough || !container.check) return;
  const findings = attempt(() => container.check?.(() => undefined) ?? []);
  if (findings instanceof ImageError) run.tell(textOf(findings));
  else for (const { severity, message } of findings.slice(0, 100)) run.tell(severity, message);
}

function walk(run: Run, container: Container): void {
  const queue: number[] = [container.root.id];
  const visited = new Set<number>();
  let entries = 0;
  let files = 0;
  for (let index = 0; index < queue.length && visited.size < DIRECTORIES; index += 1) {
    const id = queue[index]!;
    if (visited.has(id)) continue;
    visited.add(id);
    const list = attempt(() => container.list(id));
    if (list instanceof ImageError) {
      run.tell(textOf(list));
      continue;
    }
    for (const [name, item] of list) {
      entries += 1;
      if (entries > ENTRIES) return;
      checkName(name);
      checkItem(container, item);
      run.tell(name, item.id, item.kind, item.size, item.target, item.modified);
      if (item.kind === "directory") queue.push(item.id);
      if (item.kind !== "file" || files >= FILES) continue;
      files += 1;
      const content = attempt(() => container.content(item.id));
      if (content instanceof ImageError) {
        run.tell(textOf(content));
        continue;
      }
      promise(content.size === item.size, () => `${name} has ${item.size} bytes, its content ${content.size}`);
      checkMapped(run, "a file", content, 0.25);
    }
  }
}

function checkName(name: string): void {
  const bad = name === "" || name === "." || name === ".." || /[/\0]/.test(name) || Buffer.byteLength(name) > 255;
  promise(!bad, () => `a file called ${JSON.stringify(name)}`);
}

function checkItem(container: Container, item: Item): void {
  const { id, kind, size, target } = item;
  promise(Number.isSafeInteger(id) && id >= 1 && id < 2 ** 44, () => `an item with the number ${id}`);
  promise(isCount(size), () => `an item of ${size} bytes`);
  for (const value of [item.mode, item.uid, item.gid, item.links])
    promise(value === undefined || isCount(value), () => `${kind} ${id}: ${value}`);
  promise(item.modified === undefined || Number.isFinite(item.modified), () => `${kind} ${id} is from ${item.modified}`);
  promise(target === undefined || !target.includes("\0"), () => `a link to ${JSON.stringify(target)}`);
  const again = attempt(() => container.item(id));
  if (again instanceof ImageError) return;
  promise(again !== undefined, () => `${kind} ${id} is listed, and not there`);
  const same = again.kind === kind && again.size === size && again.target === target && again.id === id;
  if (!same)
    throw new Problem("differs", `item ${id} is ${JSON.stringify(item)} in its directory and ${JSON.stringify(again)} by its number`);
}
