import { basename } from "node:path";
import type { Layer } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import type { CheckProgress, Finding } from "../util/finding.js";

/** Findings of one kind that are told one by one, for one image. */
const EACH_LIMIT = 100;

/** Collects findings about `file`; of what there is too much, only how much more there is. */
function createFindings(file: string): { add(finding: Omit<Finding, "file">): void; list(): readonly Finding[] } {
  const told: Finding[] = [];
  const numbers = new Map<string, number>();
  const more = new Map<string, Omit<Finding, "file" | "message"> & { readonly count: number }>();
  return {
    add(finding) {
      const { kind, severity, count = 1 } = finding;
      const key = `${severity} ${kind}`;
      const number = (numbers.get(key) ?? 0) + 1;
      numbers.set(key, number);
      if (number <= EACH_LIMIT) told.push({ file, ...finding });
      else more.set(key, { kind, severity, count: (more.get(key)?.count ?? 0) + count });
    },
    list: () => [
      ...told,
      ...[...more.values()].map((rest) => ({ file, ...rest, message: `${rest.count} more of the kind "${rest.kind}"` })),
    ],
  };
}

/** Lets every image of a chain compare what it says of itself. `name` stands for the first of them. */
export function auditChain(layer: Layer, name: string, progress: CheckProgress): readonly Finding[] {
  const all: Finding[] = [];
  for (let image: Layer | undefined = layer; image; image = image.parent) {
    const file = image === layer ? name : `${name}: ${basename(image.name)}`;
    const findings = createFindings(file);
    auditLayer(image, {
      found: findings.add,
      doubtful: () => undefined,
      progress: (done, size) => progress({ file: `${file} (structure)`, done, size }),
    });
    all.push(...findings.list());
  }
  return all;
}

/** What stops an audit is something that it found. */
export function auditLayer(layer: Layer, audit: Parameters<NonNullable<Layer["audit"]>>[0]): void {
  try {
    layer.audit?.(audit);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    audit.found({ kind: "audit stopped", severity: "error", message: error.message, position: error.position });
  }
}
