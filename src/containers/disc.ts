// Discs have an ISO 9660 file system, or UDF, or both over the same files ("bridge").
import type { Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import type { Container, ContainerContext, ContainerDriver } from "./container.js";
import { iso9660 } from "./iso9660/index.js";
import { udf } from "./udf/index.js";

/** Things that are counted to tell which side of a bridge has more. */
const COUNT_LIMIT = 20_000;

/** Opens the side of a disc that says most. */
export const disc: ContainerDriver = {
  name: "disc",
  probe: (disk, sessions) => iso9660.probe(disk, sessions) || udf.probe(disk, sessions),
  open(disk, context) {
    const { names } = context.options;
    const { sessions } = context;
    const iso = iso9660.probe(disk, sessions) ? attempt(disk, iso9660, context) : undefined;
    const other =
      (iso === undefined || names === undefined || names === "udf") && udf.probe(disk, sessions) ? attempt(disk, udf, context) : undefined;
    if (names === "udf" && !other) throw new ImageError("UNSUPPORTED", "the disc has no udf names", { file: disk.name });
    const isoSide = isContainer(iso) ? iso : undefined;
    const udfSide = isContainer(other) ? other : undefined;
    if (udfSide && (names === "udf" || !isoSide)) return bridged(udfSide, isoSide, iso);
    const notes = udfSide && isoSide ? whyUdf(udfSide, isoSide) : undefined;
    if (udfSide && notes) return bridged(notes.reduce(noting, udfSide), isoSide, iso);
    if (isoSide && udfSide) return checkingBoth(isoSide, udfSide);
    if (isoSide) return other instanceof ImageError ? noting(isoSide, `Its UDF file system cannot be read: ${other.message}.`) : isoSide;
    throw failureOf(iso) ?? failureOf(other) ?? new ImageError("CORRUPT", "there is no file system any more", { file: disk.name });
  },
};

function attempt(disk: Source, driver: ContainerDriver, context: ContainerContext): Container | ImageError {
  try {
    return driver.open(disk, context);
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

function isContainer(opened: Container | ImageError | undefined): opened is Container {
  return opened !== undefined && !(opened instanceof ImageError);
}

function failureOf(opened: Container | ImageError | undefined): ImageError | undefined {
  return opened instanceof ImageError ? opened : undefined;
}

/**
 * What should be known where UDF says more, a sentence each; undefined where it does not. Rock Ridge has owners, modes and links as well, unless its side is a stub: one file that says that
 * the disc is UDF. Joliet and plain names are shorter. Of files over 4 GiB genisoimage stores less there than they have (-allow-limited-size).
 */
function whyUdf(udfSide: Container, isoSide: Container): readonly string[] | undefined {
  if (isoSide.facts().variant !== "Rock Ridge") return [];
  const [iso, other] = [survey(isoSide), survey(udfSide)];
  if (iso.things < other.things) return [];
  if (iso.largest >= other.largest) return undefined;
  return ["Its ISO 9660 file system has less of the largest file than there is: UDF is shown, without links and owners."];
}

/** How much is in a container, and bytes of its largest file, as far as `COUNT_LIMIT` things; those that cannot be read are not there. */
function survey(container: Container): { readonly things: number; readonly largest: number } {
  const waiting = [container.root.id];
  let things = 0;
  let largest = 0;
  for (let id = waiting.shift(); id !== undefined && things < COUNT_LIMIT; id = waiting.shift()) {
    try {
      for (const item of container.list(id).values()) {
        things += 1;
        if (item.kind === "directory") waiting.push(item.id);
        else largest = Math.max(largest, item.size);
      }
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return { things, largest };
}

/** The UDF side, with what machines boot from, which only the other side tells. */
function bridged(udfSide: Container, isoSide: Container | undefined, iso: Container | ImageError | undefined): Container {
  const bridge = checkingBoth(udfSide, isoSide);
  const whole = isoSide?.bootImages ? { ...bridge, bootImages: isoSide.bootImages } : bridge;
  return iso instanceof ImageError ? noting(whole, `Its ISO 9660 file system cannot be read: ${iso.message}.`) : whole;
}

/** `shown`, whose check is that of both sides. */
function checkingBoth(shown: Container, other: Container | undefined): Container {
  return { ...shown, check: (progress) => [...(shown.check?.(progress) ?? []), ...(other?.check?.(progress) ?? [])] };
}

function noting(container: Container, note: string): Container {
  return {
    ...container,
    facts() {
      const facts = container.facts();
      return { ...facts, notes: [...facts.notes, note] };
    },
  };
}
