import { basename } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { checkShown } from "../../tree/check.js";
import type { Finding } from "../../util/finding.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { createProgressBar } from "../progress.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { viewOf } from "../viewing.js";

export function checkCommand(io: Io) {
  return withReadingOptions(
    new Command("check")
      .summary(summaries.check)
      .description(
        "Reads what IMAGE says of itself, and of the images in it, and compares: counts, copies, checksums, tables, compressed blocks, digests, signatures.",
      )
      .argument("<image>", "the image"),
  )
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action((image, { json, ...options }) => {
      const view = viewOf(io, image, openOptionsOf(options), CACHE_LIMIT);
      const bar = createProgressBar(io, "checking");
      let findings: readonly Finding[];
      try {
        findings = checkShown(view.shown, basename(image), bar.step);
      } finally {
        bar.end();
        view.close();
      }
      const result = resultOf(findings);
      if (json) writeJson(io, { image, result, findings });
      else writeLines(io, linesOf(findings, result, basename(image)));
      if (result !== "clean") process.exitCode = result === "damaged" ? 1 : 3;
    });
}

const help = `
What is stored plainly and without a digest cannot be checked; that it is there can. The exit status is 0 if nothing is wrong, 1 if something
is damaged or not what it should be, 3 if there are warnings only, such as clusters that are lost to use. What it means for the data of the disk
tells flatmount salvage.

Examples:
  flatmount check disk.qcow2
  flatmount check --json appliance.ova | jq -r '.findings[] | select(.severity == "error").message'
`;

const CACHE_LIMIT = 4 * 2 ** 20;

function resultOf(findings: readonly Finding[]): "clean" | "warnings" | "damaged" {
  if (findings.some(({ severity }) => severity === "error")) return "damaged";
  return findings.some(({ severity }) => severity === "warning") ? "warnings" : "clean";
}

function linesOf(findings: readonly Finding[], result: ReturnType<typeof resultOf>, image: string): string[] {
  const marks = { ok: "ok", note: "note", warning: "WARNING", error: "ERROR" } as const;
  const words = { clean: "nothing wrong was found", warnings: "there are warnings", damaged: "it is damaged" } as const;
  const lines = findings.map(({ file, severity, message }) => `${marks[severity].padEnd(8)} ${file}: ${message}`);
  return [...lines, `${image}: ${words[result]}`].map(printable);
}
