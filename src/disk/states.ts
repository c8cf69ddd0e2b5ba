import { basename, resolve } from "node:path";
import type { Layer } from "../formats/driver.js";
import { printable, quote } from "../util/text.js";
import { chainOf } from "./diff.js";

/** One of the states that an image holds of its disk. */
export interface DiskState {
  /** What it is called, safe to print. */
  readonly title: string;
  readonly layer: Layer;
}

/** What the image is now. */
const CURRENT = "current";

export function currentState(layer: Layer): DiskState {
  return { title: CURRENT, layer };
}

/**
 * The state that is called so: `current`; `@N`, the image that is N down the chain, or that image's file; a snapshot's id or, where none has it, a snapshot's name.
 * Undefined if there is none. Throws an `ImageError` if it cannot be opened.
 */
export function stateNamed(layer: Layer, wanted: string): DiskState | undefined {
  if (wanted === CURRENT) return currentState(layer);
  const chain = chainOf(layer);
  const [, depth] = /^@(\d{1,4})$/.exec(wanted) ?? [];
  if (depth !== undefined) return linkState(chain, Number(depth));
  const list = (layer.snapshot && layer.facts().snapshots) ?? [];
  const byId = list.findIndex(({ id }) => id === wanted);
  const index = byId === -1 ? list.findIndex(({ name }) => name === wanted) : byId;
  if (index !== -1) return snapshotState(layer, index);
  const path = printable(resolve(wanted));
  const byPath = chain.findIndex(({ name }) => resolve(name) === path);
  return linkState(chain, byPath === -1 ? chain.findIndex(({ name }) => basename(name) === printable(wanted)) : byPath);
}

/** What the current state is compared with unless told otherwise: the snapshot that was made last, or else the image's parent. */
export function earlierState(layer: Layer): DiskState | undefined {
  const list = (layer.snapshot && layer.facts().snapshots) ?? [];
  if (list.length === 0) return linkState(chainOf(layer), 1);
  let last = 0;
  for (const [index, { created = "" }] of list.entries()) if (created >= (list[last]?.created ?? "")) last = index;
  return snapshotState(layer, last);
}

/** All that `stateNamed` knows, in words; the first few. */
export function statesIn(layer: Layer, limit = 20): readonly string[] {
  const list = (layer.snapshot && layer.facts().snapshots) ?? [];
  const snapshots = list.map(({ id, name }) => `snapshot ${printable(id)} ${quote(name)}`);
  const links = chainOf(layer)
    .slice(1)
    .map(({ name }, index) => `@${index + 1} ${quote(basename(name))}`);
  const all = [CURRENT, ...links, ...snapshots];
  return all.length > limit ? [...all.slice(0, limit), "…"] : all;
}

function linkState(chain: readonly Layer[], depth: number): DiskState | undefined {
  const layer = chain[depth];
  return layer && { title: depth === 0 ? CURRENT : `@${depth} ${quote(basename(layer.name))}`, layer };
}

function snapshotState(layer: Layer, index: number): DiskState | undefined {
  const facts = layer.facts().snapshots?.[index];
  const opened = layer.snapshot?.(index);
  return facts && opened && { title: `snapshot ${printable(facts.id)} ${quote(facts.name)}`, layer: opened };
}
