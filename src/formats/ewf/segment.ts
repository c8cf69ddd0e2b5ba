// One segment file: a chain of sections, of which the tables tell where chunks are.
import { readBytes, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import { adler32 } from "./adler.js";
import { descriptor, ENTRY_SIZE, fileHeader, limits, SIGNATURE, table } from "./layout.js";

export interface Section {
  readonly type: string;
  /** Of what follows its descriptor. */
  readonly start: number;
  readonly end: number;
}

/** A table of chunks, and its copy if there is one. */
export interface ChunkTable {
  readonly source: Source;
  /** The sections "table" and "table2"; at least one. */
  readonly copies: readonly [Section, ...Section[]];
  /** How many chunks it tells of. */
  readonly entries: number;
  /** Where the last chunk that it tells of ends at the latest. */
  readonly dataEnd: number;
}

export interface Segment {
  readonly source: Source;
  /** Counted from 1. */
  readonly number: number;
  readonly sections: readonly Section[];
  readonly tables: readonly ChunkTable[];
  /** Whether another segment follows, this is the last one, or the file ends before it says so. */
  readonly ending: "next" | "done" | ImageError;
}

/** The number of a segment; undefined for what is no segment file. */
export function segmentNumber(head: Uint8Array): number | undefined {
  if (head.length < fileHeader.size) return undefined;
  const { signature, segment } = fileHeader.decode(head);
  return Buffer.from(signature).toString("latin1") === SIGNATURE ? segment : undefined;
}

/** Walks through the sections. What is wrong behind the first ones is told by `ending`. */
export function readSegment(source: Source): Segment {
  const number = segmentNumber(readBytes(source, 0, Math.min(source.size, fileHeader.size)));
  if (number === undefined) throw new ImageError("WRONG_FORMAT", "it is no segment of an EWF image", { file: source.name, position: 0 });
  const sections: Section[] = [];
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const finish = (ending: Segment["ending"]): Segment => {
    const { tables, problem } = tablesOf(source, sections);
    return { source, number, sections, tables, ending: problem ?? ending };
  };
  for (let position = fileHeader.size; sections.length < limits.sections; ) {
    if (position + descriptor.size > source.size) {
      return finish(fail("TRUNCATED", position, `the file is cut: a section should begin at ${hex(position)}`));
    }
    const content = readBytes(source, position, descriptor.size);
    let fields: ReturnType<typeof descriptor.decode>;
    try {
      fields = descriptor.decode(content);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      return finish(fail("CORRUPT", position, `the section at ${hex(position)} cannot be understood: ${error.message}`));
    }
    const { type, next, checksum } = fields;
    if (adler32(content.subarray(0, 72)) !== checksum) {
      return finish(fail("CORRUPT", position, `the section at ${hex(position)} has a wrong checksum`));
    }
    if (type === "next" || type === "done") return finish(type);
    if (next < position + descriptor.size) {
      return finish(
        fail(
          "CORRUPT",
          position,
          `the section ${quote(type)} at ${hex(position)} is followed by one at ${hex(next)}, which is before its end`,
        ),
      );
    }
    sections.push({ type, start: position + descriptor.size, end: next });
    position = next;
  }
  return finish(fail("UNSUPPORTED", 0, `it has more than ${limits.sections} sections`));
}

/** The tables in their order, up to one that is damaged: how many chunks it told of cannot be known, and so not which ones the next tells of. */
function tablesOf(source: Source, sections: readonly Section[]): { readonly tables: readonly ChunkTable[]; readonly problem?: ImageError } {
  const tables: ChunkTable[] = [];
  let data: Section | undefined;
  for (const [index, section] of sections.entries()) {
    if (section.type === "sectors") data = section;
    const original = section.type === "table2" ? sections[index - 1] : undefined;
    if (section.type !== "table" && (section.type !== "table2" || original?.type === "table")) continue;
    const after = sections[index + 1];
    const copies: ChunkTable["copies"] = after?.type === "table2" && section.type === "table" ? [section, after] : [section];
    const entries = entriesOf(source, copies);
    if (entries === undefined) {
      const message = `the table at ${hex(section.start)} is damaged: where the chunks from there on are cannot be known`;
      return { tables, problem: new ImageError("CORRUPT", message, { file: source.name, position: section.start }) };
    }
    // The first specification, and SMART, keep chunks within the table's section.
    tables.push({ source, copies, entries, dataEnd: Math.min(data?.end ?? section.end, source.size) });
  }
  return { tables };
}

/** How many entries a table has: as its header says, if its checksum fits, or both copies say the same. */
function entriesOf(source: Source, copies: readonly Section[]): number | undefined {
  const headers = copies.map((section) => tableHeader(source, section));
  const sound =
    headers.find((header) => header?.valid) ?? (headers[0]?.content.equals(headers[1]?.content ?? Buffer.of()) ? headers[0] : undefined);
  return sound?.entries;
}

/** Of a table that fits its section. */
export interface TableHeader {
  readonly entries: number;
  readonly base: number;
  /** Whether its checksum is right. */
  readonly valid: boolean;
  readonly content: Buffer;
}

export function tableHeader(source: Source, { start, end }: Section): TableHeader | undefined {
  if (start + table.size > Math.min(end, source.size)) return undefined;
  const content = readBytes(source, start, table.size);
  try {
    const { entries, base, checksum } = table.decode(content);
    const fits = entries <= limits.tableEntries && start + table.size + entries * ENTRY_SIZE <= end;
    return fits ? { entries, base, valid: adler32(content.subarray(0, 20)) === checksum, content } : undefined;
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
