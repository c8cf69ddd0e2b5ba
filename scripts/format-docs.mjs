// Makes the support matrix of docs/formats.md from what the built program says of its formats. Run it after a change of a driver's variants.
// With --check it only tells, by its status, whether the page is as it would make it.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

/**
 * @typedef {object} Format
 * @property {string} name
 * @property {readonly string[]} extensions
 * @property {readonly { name: string, support: "read" | "refused", proof: string, remark?: string }[]} variants
 */

const BEGIN = "<!-- made by scripts/format-docs.mjs from the drivers' declarations -->";
const END = "<!-- end of what scripts/format-docs.mjs makes -->";

/** @param {Format} format */
function section({ name, extensions, variants }) {
  const rows = variants.map(
    ({ name: variant, support, proof, remark }) => `| ${cell(variant)} | ${support} | ${cell(remark ?? "")} | ${link(proof)} |`,
  );
  const title = `### ${name} (${extensions.join(", ")})`;
  return [title, "", "| variant | support | remark | test |", "|---|---|---|---|", ...rows, ""].join("\n");
}

/** @param {string} proof `formats/raw.test.ts: title` */
function link(proof) {
  const at = proof.indexOf(": ");
  return `[${cell(proof.slice(at + 2))}](../test/${proof.slice(0, at)})`;
}

/** @param {string} text */
function cell(text) {
  return text.replace(/[|[\]<>]/g, (sign) => `\\${sign}`);
}

const root = new URL("..", import.meta.url).pathname;
const path = `${root}docs/formats.md`;
const page = readFileSync(path, "utf8");
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin < 0 || end < begin) throw new Error("docs/formats.md has no place for the matrix");

/** @type {readonly Format[]} */
const formats = JSON.parse(execFileSync(process.execPath, [`${root}dist/cli/main.js`, "formats", "--json"], { encoding: "utf8" }));
const made = `${page.slice(0, begin)}${BEGIN}\n\n${formats.map(section).join("\n")}\n${page.slice(end)}`;
if (process.argv.includes("--check")) process.exitCode = made === page ? 0 : 1;
else writeFileSync(path, made);
