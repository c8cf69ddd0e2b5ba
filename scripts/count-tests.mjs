// count-tests.mjs REPORT [STEP…]: reads vitest's JSON report and prints how the tests ended, as the last line of a run. The status is not 0 if a test
// failed or none ran, if one of the steps before failed (they are named), and, where CI is set, if tests that mount were skipped or are missing.
import { readFileSync } from "node:fs";
import { relative } from "node:path";

/** The folder of the tests that need FUSE. */
const MOUNTING = "test/mount/";

/**
 * What is used here of the report; it has the form of Jest's.
 * @typedef {object} Report
 * @property {{ name: string, status: string, assertionResults: { fullName: string, status: string }[] }[]} testResults
 */

const [reportPath = "", ...failedSteps] = process.argv.slice(2);
const complaints = failedSteps.map((step) => `failed: ${step} (see above)`);
const files = readReport();
const tests = files.flatMap(({ assertionResults }) => assertionResults);

const passed = tests.filter(({ status }) => status === "passed").length;
const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed").length;
// A file that cannot be loaded fails without a test of its own.
const broken = files.filter(
  ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
);
const failed = tests.length - passed - skipped + broken.length;

for (const { name } of broken) complaints.push(`${name} could not be run`);
if (passed + failed === 0) complaints.push("no test ran");
if (process.env["CI"]) complainOfMounts();

for (const complaint of complaints) console.error(complaint);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || complaints.length > 0 ? 1 : 0;

/** @returns {Report["testResults"]} */
function readReport() {
  try {
    /** @type {Report} */
    const report = JSON.parse(readFileSync(reportPath, "utf8"));
    return report.testResults.map((file) => ({ ...file, name: relative(process.cwd(), file.name) }));
  } catch (error) {
    complaints.push(`the report cannot be read: ${String(error)}`);
    return [];
  }
}

/** On a machine that can mount, which CI's is, a skipped mount hides a fault. */
function complainOfMounts() {
  const mounting = files.filter(({ name }) => name.startsWith(MOUNTING)).flatMap(({ assertionResults }) => assertionResults);
  if (mounting.length === 0) complaints.push(`no test in ${MOUNTING} ran`);
  for (const { fullName, status } of mounting) {
    if (status !== "passed" && status !== "failed") complaints.push(`a test that needs FUSE was skipped: ${fullName}`);
  }
}
