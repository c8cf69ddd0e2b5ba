import { Command } from "@commander-js/extra-typings";
import { driverNamed, drivers } from "../../formats/registry.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { jsonOption } from "../reading-options.js";
import { alignColumns } from "../table.js";

export function formatsCommand(io: Io) {
  return new Command("formats")
    .summary(summaries.formats)
    .description("Lists the formats and their variants: what can be read, and what is recognised and refused.")
    .argument("[format]", "one format with all of its variants")
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action((wanted, { json }) => {
      const chosen = wanted === undefined ? drivers : [driverNamed(wanted)];
      if (json) writeJson(io, chosen.map(describe));
      else writeLines(io, wanted === undefined ? overview() : variantsOf(wanted));
    });
}

const help = `
Examples:
  flatmount formats
  flatmount formats vmdk
  flatmount formats --json | jq -r '.[].name'
`;

function describe({ name, extensions, variants }: (typeof drivers)[number]) {
  return { name, extensions, variants: variants.map((variant) => ({ ...variant })) };
}

function overview(): readonly string[] {
  return alignColumns([["FORMAT", "USUAL NAMES"], ...drivers.map(({ name, extensions }) => [name, extensions.join(" ")])]);
}

function variantsOf(wanted: string): readonly string[] {
  const { variants } = driverNamed(wanted);
  return alignColumns([["VARIANT", "SUPPORT", "REMARK"], ...variants.map(({ name, support, remark }) => [name, support, remark ?? ""])]);
}
