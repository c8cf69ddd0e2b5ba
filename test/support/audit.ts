// What an image's audit finds, and what qemu-img finds in the same image.
import { spawnSync } from "node:child_process";
import type { Problem } from "../../src/formats/audit.js";
import type { Layer } from "../../src/formats/driver.js";

export interface Audited {
  readonly problems: readonly Problem[];
  readonly doubtful: readonly { readonly start: number; readonly length: number }[];
  /** How many things of each kind, severities beside errors and warnings left out. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly warnings: number;
}

export function audited(layer: Layer): Audited {
  const problems: Problem[] = [];
  const doubtful: { start: number; length: number }[] = [];
  layer.audit?.({
    found: (problem) => problems.push(problem),
    doubtful: (range) => doubtful.push(range),
    progress: () => undefined,
  });
  const kinds: Record<string, number> = {};
  for (const { kind, severity, count = 1 } of problems) {
    if (severity === "error" || severity === "warning") kinds[kind] = (kinds[kind] ?? 0) + count;
  }
  return { problems, doubtful, kinds, errors: total(problems, "error"), warnings: total(problems, "warning") };
}

function total(problems: readonly Problem[], severity: string): number {
  return problems.filter((problem) => problem.severity === severity).reduce((sum, { count = 1 }) => sum + count, 0);
}

export interface QemuCheck {
  /** 0 clean, 1 could not be checked, 2 corrupt, 3 leaks only. */
  readonly status: number;
  readonly corruptions: number;
  readonly leaks: number;
  readonly checkErrors: number;
  readonly stderr: string;
}

export function qemuCheck(path: string, format: string): QemuCheck {
  const { status, stdout, stderr } = spawnSync("qemu-img", ["check", "-f", format, "--output=json", path], { encoding: "utf8" });
  const told = stdout === "" ? {} : (JSON.parse(stdout) as Record<string, number>);
  return {
    status: status ?? -1,
    corruptions: told["corruptions"] ?? 0,
    leaks: told["leaks"] ?? 0,
    checkErrors: told["check-errors"] ?? 0,
    stderr,
  };
}

/** What a change of `image` gives, where that is another one: `image` was changed in place otherwise. */
export function changedBy(image: Buffer, result: unknown): Buffer {
  return Buffer.isBuffer(result) ? result : image;
}
