import { styleText } from "node:util";
import { Command } from "@commander-js/extra-typings";
import { UserError } from "../../util/errors.js";
import { printable } from "../../util/text.js";
import { type Check, type Diagnosis, diagnose } from "../doctor/checks.js";
import { lookAround, type Machine } from "../doctor/machine.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";

/** `probe` looks at the machine. */
export function doctorCommand(io: Io, probe: () => Promise<Machine> = lookAround) {
  return new Command("doctor")
    .summary(summaries.doctor)
    .description("Looks at what this machine offers for mounting, and tells how to get what is missing. Changes nothing.")
    .option("--json", "print JSON")
    .addHelpText("after", help)
    .action(async ({ json }) => {
      const diagnosis = diagnose(await probe());
      if (json) writeJson(io, diagnosis);
      else writeLines(io, linesOf(io, diagnosis));
      if (diagnosis.transports.length > 0) return;
      throw new UserError("nothing can be mounted here", "The commands info, map, ls and cat work all the same.");
    });
}

const help = `
Exit status: 0 if there is a way to mount, 1 if there is none.

Examples:
  flatmount doctor
  flatmount doctor --json | jq '.checks[] | select(.status == "missing")'
`;

function linesOf(io: Io, { checks, transports }: Diagnosis): string[] {
  const width = Math.max(...checks.map(({ what }) => what.length));
  const lines = checks.flatMap(({ status, what, detail, hint }) => [
    `${statusText(io, status)}  ${what.padEnd(width)}  ${printable(detail)}`,
    ...(hint === undefined ? [] : [`${" ".repeat(STATUS_WIDTH)}  hint: ${printable(hint)}`]),
  ]);
  return transports.length > 0 ? [...lines, "", `Images can be mounted here (${transports.join(", ")}).`] : lines;
}

const colors = { ok: "green", missing: "red", note: "yellow" } as const satisfies Record<Check["status"], string>;
const STATUS_WIDTH = "missing".length;

function statusText({ color }: Io, status: Check["status"]): string {
  const text = status.padEnd(STATUS_WIDTH);
  return color ? styleText(colors[status], text, { validateStream: false }) : text;
}
