import type { Variant } from "../../driver.js";

const hosted = (title: string) => `formats/vmdk-sparse.test.ts: ${title}`;
const stream = (title: string) => `formats/vmdk-sparse-stream.test.ts: ${title}`;
const esx = (title: string) => `formats/vmdk-sparse-esx.test.ts: ${title}`;

/** What sparse extents can be, whatever the descriptor around them. */
export const sparseVariants: readonly Variant[] = [
  {
    name: "header versions 1, 2 and 3 (changed block tracking)",
    support: "read",
    proof: hosted("version 3, as changed block tracking writes it"),
  },
  { name: "zeroed grains (entry 1)", support: "read", proof: hosted("entry 1 is a zeroed grain with the flag only") },
  { name: "grains of 4 KiB, and of any size from 512 bytes to 1 GiB", support: "read", proof: hosted("grains of one sector") },
  { name: "grain tables of any number of entries", support: "read", proof: hosted("tables of 7 entries, one of them missing") },
  {
    name: "redundant grain directory and tables",
    support: "read",
    proof: hosted("redundant tables are used where a table is not in the file, table by table"),
    remark: "used where the primary ones are damaged",
  },
  { name: "a descriptor alone in a sparse extent", support: "read", proof: hosted("capacity 0 is a wrapper around the descriptor") },
  { name: "a copy in text mode", support: "refused", proof: hosted("a copy in text mode is told as such") },
  {
    name: "streamOptimized: grain directory at the end (footer)",
    support: "read",
    proof: stream("directory at the end, tables between the grains"),
  },
  {
    name: "streamOptimized: grain directory in the header",
    support: "read",
    proof: stream("directory and tables in front, as open-vmdk writes them"),
  },
  {
    name: "streamOptimized: markers of types 0 to 3, and the undocumented 4",
    support: "read",
    proof: stream("markers that are not in the specification"),
  },
  { name: "compressed grains without markers", support: "read", proof: stream("grains without markers, directory in front") },
  {
    name: "compressed grains larger than a grain, a short last one",
    support: "read",
    proof: stream("a short last grain of noise in a table of its own"),
  },
  { name: "padding behind the end of a stream", support: "read", proof: stream("zeros behind the end, as in a tar archive") },
  {
    name: "cut streamOptimized files",
    support: "read",
    proof: stream("no directory: grains are found by their markers, and nothing else is guessed"),
    remark: "grains are found by scanning; reading what is missing fails",
  },
  { name: "vmfsSparse (COWD)", support: "read", proof: esx("COWD: grains of one sector out of order") },
  { name: "seSparse", support: "read", proof: esx("seSparse: zeroed and unmapped grains") },
  { name: "seSparse whose journal was not replayed", support: "refused", proof: esx("a journal that was not replayed") },
];
