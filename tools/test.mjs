/**
 * Runs every test there is, and ends with the line `N passed, N failed` (and `, N skipped`) counted from that run.
 * Real servers and platforms that are not installed are named, and skipped; with REQUIRE_REAL=1 they are failures.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';

const REPORT = '.cache/vitest.json';
mkdirSync('.cache', { recursive: true });
rmSync(REPORT, { force: true });

const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
const { status } = spawnSync('node_modules/.bin/vitest', ['run', ...reporters], { stdio: 'inherit' });

const { numPassedTests, numFailedTests, numPendingTests, numFailedTestSuites, testResults } = JSON.parse(
  readFileSync(REPORT, 'utf8'),
);
// A file that could not even be loaded has failed, though none of its tests has.
const unloaded = testResults.filter(
  (/** @type {any} */ file) => file.status === 'failed' && file.assertionResults.length === 0,
);
const failed = numFailedTests + unloaded.length;
const skipped = numPendingTests === 0 ? '' : `, ${numPendingTests} skipped`;
console.log(`${numPassedTests} passed, ${failed} failed${skipped}`);
const good = status === 0 && failed === 0 && numFailedTestSuites === 0 && numPassedTests > 0;
process.exit(good ? 0 : 1);
