import { little } from "./protocol.js";

/** A u64 below 2^53. */
export function setUint64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  const low = value - high * 2 ** 32;
  view.setUint32(little ? at : at + 4, low, little);
  view.setUint32(little ? at + 4 : at, high, little);
}

/** A u64 as a Number: exact below 2^53, above it near enough to be past every file. */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(little ? at + 4 : at, little) * 2 ** 32 + view.getUint32(little ? at : at + 4, little);
}
