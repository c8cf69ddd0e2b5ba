// Reads vitest's JSON report and prints how the tests ended, as the last line of a run. Fails if a test failed or none ran, and where CI is set also if
// tests that mount were skipped or are missing.
import { readFileSync } from "node:fs";
import { relative } from "node:path";

const [reportPath = "", runnerStatus = "1"] = process.argv.slice(2);
const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(readFileSync(reportPath, "utf8"));

const skipped = numPendingTests + numTodoTests;
// A file that cannot be loaded fails without a test of its own.
const brokenFiles = testResults.filter(({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"));
const mounting = testResults.filter(({ name }) => relative(process.cwd(), name).startsWith("test/mount/")).flatMap((file) => file.assertionResults);
const complaints = [];

for (const { name } of brokenFiles) complaints.push(`${relative(process.cwd(), name)} could not be run`);
if (numPassedTests + numFailedTests === 0) complaints.push("no test ran");
if (process.env.CI) {
  if (mounting.length === 0) complaints.push("no test mounted anything");
  for (const { fullName, status } of mounting) if (status !== "passed" && status !== "failed") complaints.push(`a test that needs FUSE was skipped: ${fullName}`);
}
for (const complaint of complaints) console.error(complaint);

const failed = numFailedTests + brokenFiles.length;
process.exitCode = failed > 0 || complaints.length > 0 || runnerStatus !== "0" ? 1 : 0;
console.log(`${numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
