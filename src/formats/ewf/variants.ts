import type { Variant } from "../driver.js";

const proof = (title: string) => `formats/ewf.test.ts: ${title}`;

export const ewfVariants: readonly Variant[] = [
  {
    name: "EnCase, FTK Imager, linen (.E01), chunks with and without compression",
    support: "read",
    proof: proof("what ewfacquire writes: %s"),
  },
  {
    name: "several segments: .E01 to .E99, .EAA to .ZZZ",
    support: "read",
    proof: proof("segments are found by their names: more than 99"),
  },
  { name: "SMART (.s01)", support: "read", proof: proof("chunks within the section of their table, as SMART writes them") },
  {
    name: "chunks of any size up to 64 MiB, sectors of 512 bytes and more",
    support: "read",
    proof: proof("chunks of %i sectors of %i bytes"),
  },
  { name: "tables with a base, behind 2 GiB", support: "read", proof: proof("tables count from their base") },
  {
    name: "tables that went on behind 2 GiB without (EnCase 6.7.1)",
    support: "read",
    proof: proof("positions that use the bit for compression, behind 2 GiB"),
  },
  { name: "first table damaged", support: "read", proof: proof("the copy of a table is used where the first is damaged") },
  {
    name: "a chunk that does not fit its checksum",
    support: "read",
    proof: proof("a chunk that is stored as it is, and does not fit its checksum, is not shown; what is beside it is"),
    remark: "Reading that chunk fails.",
  },
  { name: "size of the disk not filled in", support: "read", proof: proof("a size that was never filled in is that of the chunks") },
  {
    name: "cut",
    support: "read",
    proof: proof("what a cut file still has is read"),
    remark: "Reading the lost chunks fails, the rest is read.",
  },
  {
    name: "a missing segment",
    support: "refused",
    proof: proof("a missing segment is told, and with --degraded only its range fails"),
    remark: "--degraded reads what comes before it",
  },
  { name: "logical evidence (.L01, .Lx01)", support: "refused", proof: proof("what cannot be read: %s") },
  { name: "version 2 (.Ex01)", support: "refused", proof: proof("what cannot be read: %s") },
  { name: "AD encryption", support: "refused", proof: proof("what cannot be read: %s") },
];
