// Shows every sample to every program that reads its format. Bundled and started by main.mjs.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { judge, type Verdict } from "./judge.js";
import { place, type Program, programs } from "./programs.js";
import { readDisk, readTree } from "./reader.js";
import { asMarkdown, asText, type Row } from "./report.js";
import { type Sample, SECRET } from "./sample.js";
import { diskSets, treeSets } from "./set/all.js";

const usage = `Usage: scripts/malformed [options]

Shows some 150 damaged images to flatmount and to the other programs of this machine that read them, and tells what became of it.

  --only FORMATS     separated by commas
  --programs NAMES   separated by commas
  --markdown FILE    the page docs/malformed.md
  --json FILE        writes the outcomes there
  --add FILES        takes outcomes from there, too; separated by commas, later ones win
  --verbose          what each program said
  --help
`;

function ask(program: Program, sample: Sample, base: string): Verdict {
  const own = mkdtempSync(join(base, "s-"));
  const folder = join(own, "images");
  const work = join(own, "work");
  for (const each of [folder, work, join(own, "outside")]) mkdirSync(each);
  try {
    writeFileSync(join(own, "outside/secret.txt"), SECRET);
    place(folder, sample.files);
    const tree = sample.truth.kind === "tree" || sample.format in treeSets;
    return judge(sample, program.ask({ folder, image: sample.image, work, format: sample.format, tree }));
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

interface Written {
  readonly format: string;
  readonly name: string;
  readonly verdicts: Readonly<Record<string, Verdict>>;
}

function main(base: string): void {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: { only: text, programs: text, markdown: text, json: text, add: text, verbose: flag, help: flag },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const chosen = (list: string | undefined, name: string) => list?.split(",").includes(name) ?? true;
  const rows: Row[] = [];
  const earlier = (values.add?.split(",") ?? []).flatMap((file) => JSON.parse(readFileSync(file, "utf8")) as Written[]);
  const sets = { ...diskSets, ...treeSets };
  const wanted = Object.entries(sets).filter(([format]) => earlier.length > 0 || chosen(values.only, format));
  for (const sample of wanted.flatMap(([, make]) => make())) {
    const row: Row = { format: sample.format, name: sample.name, verdicts: new Map() };
    const before = earlier.filter(({ format, name }) => format === sample.format && name === sample.name);
    for (const program of programs) {
      const written = before.findLast(({ verdicts }) => program.name in verdicts)?.verdicts[program.name];
      if (written) row.verdicts.set(program.name, written);
      if (!chosen(values.only, sample.format) || !chosen(values.programs, program.name)) continue;
      if (program.version === undefined || !program.formats.includes(sample.format)) continue;
      const verdict = ask(program, sample, base);
      row.verdicts.set(program.name, verdict);
      if (values.verbose) process.stderr.write(`${sample.format}: ${sample.name}: ${program.name}: ${verdict.outcome} ${verdict.why}\n`);
      if (program === programs[0] && !["right", "refused"].includes(verdict.outcome)) process.exitCode = 1;
    }
    if (row.verdicts.size > 0) rows.push(row);
  }
  const written: Written[] = rows.map(({ format, name, verdicts }) => ({ format, name, verdicts: Object.fromEntries(verdicts) }));
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(written, undefined, 2));
  process.stdout.write(asText(rows, programs));
  if (values.markdown !== undefined) writeFileSync(values.markdown, asMarkdown(rows, programs));
}

if (process.argv[2] === "--read") {
  const [kind, path = "", out = ""] = process.argv.slice(3);
  if (kind === "disk") readDisk(path, out);
  else readTree(path, out);
} else {
  main(process.env["FLATMOUNT_MALFORMED"] ?? "/tmp");
}
