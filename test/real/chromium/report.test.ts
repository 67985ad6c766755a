import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AxeResults } from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProbeResult } from '../../../src/probe/result.ts';
import { htmlReport } from '../../../src/reporters/html.ts';
import { PLAIN_MANNER } from '../../../src/reporters/reporter.ts';
import { judge, refuse, type Verdict } from '../../../src/verdict/judge.ts';
import { CHROMIUM } from '../../support/chromium.ts';
import { missing, pathOf } from '../../support/installed.ts';
import { GOOD, POLICY, problem, sweep, TALK } from '../../support/report-samples.ts';
import { privateFolder } from '../../support/run.ts';

const ARTEFACTS = new URL('../../../.cache/artefacts/', import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const SCHEMES = ['light', 'dark'] as const;
const WIDTHS = [1280, 400] as const;
const VIEWS = SCHEMES.flatMap((colorScheme) => WIDTHS.map((width) => [colorScheme, width] as const));

const LONG = 'a-word-of-ten-thousand-letters-'.repeat(330);
const REPORTS: Readonly<Record<string, Verdict>> = {
  sweep: sweep(),
  one: judge(GOOD, POLICY, TALK),
  refused: refuse(problem({ reason: 'usage', phase: null, message: 'unknown option --frobnicate' })),
  long: judge(
    { ...GOOD, casServer: `${LONG}.example.com`, userName: LONG, capabilities: [LONG] } as ProbeResult,
    POLICY,
    [{ atMs: 1, who: 'S', words: LONG }],
  ),
};

describe.skipIf(missing(CHROMIUM))('a report in a real Chromium', () => {
  const folder = privateFolder();
  const urls = new Map(
    Object.entries(REPORTS).map(([name, verdict]) => [
      name,
      pathToFileURL(
        folder.file(`${name}.html`, htmlReport(verdict, { ...PLAIN_MANNER, monitoringContext: name === 'one' }).stdout),
      ).href,
    ]),
  );
  let browser: Browser;

  beforeAll(async () => {
    mkdirSync(ARTEFACTS, { recursive: true });
    // Its sandbox needs more than a container gives to root; what it opens is ours.
    browser = await chromium.launch({ executablePath: pathOf('chromium'), args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
  });

  /** Opens a report as it is; whatever the browser has against it or asks for beyond it fails. */
  async function look(
    name: string,
    options: BrowserContextOptions,
    through: (page: Page) => Promise<void>,
  ): Promise<void> {
    const url = urls.get(name) as string;
    const context = await browser.newContext(options);
    try {
      const page = await context.newPage();
      const complaints: string[] = [];
      const asked: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => asked.push(request.url()));
      await page.goto(url);
      await through(page);
      expect(complaints).toEqual([]);
      expect(new Set(asked.map((each) => each.replace(/#.*/, '')))).toEqual(new Set([url]));
    } finally {
      await context.close();
    }
  }

  describe.each(VIEWS)('in %s, %d wide', (colorScheme, width) => {
    const view = { colorScheme, viewport: { width, height: 900 } };

    test.each(Object.keys(REPORTS))('%s needs nothing beyond itself, and nothing of it lies outside', async (name) => {
      await look(name, view, async (page) => {
        const path = join(ARTEFACTS, `report-${name}-${colorScheme}-${width}.png`);
        await page.screenshot({ path, fullPage: name !== 'long' });
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
        const tables =
          'Array.from(document.querySelectorAll(".scroll"), (each) => each.scrollWidth - each.clientWidth)';
        for (const beyond of (await page.evaluate(tables)) as number[]) expect(beyond).toBeLessThanOrEqual(0);
        const shade = await page.evaluate('getComputedStyle(document.body).backgroundColor');
        expect(shade).toBe(colorScheme === 'dark' ? 'rgb(18, 21, 24)' : 'rgb(246, 247, 249)');
      });
    });

    test.each(Object.keys(REPORTS))('axe finds nothing against %s, all unfolded', async (name) => {
      // Only axe needs to get past the policy of the page.
      await look(name, { ...view, bypassCSP: true }, async (page) => {
        await page.evaluate('for (const each of document.querySelectorAll("details")) each.open = true');
        await page.evaluate(AXE);
        const { violations, passes } = (await page.evaluate('axe.run()')) as AxeResults;
        expect(passes.length).toBeGreaterThan(10);
        expect(violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)])).toEqual([]);
      });
    });
  });

  test('its own policy holds: a script put into it does not run', async () => {
    const url = urls.get('one') as string;
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    const added = await page
      .addScriptTag({ content: 'document.title = "owned"' })
      .then(() => 'ran')
      .catch(() => 'refused');
    expect(added).toBe('refused');
    expect(await page.title()).toMatch(/^POP3 connectivity/);
    await context.close();
  });

  test('Tab reaches every link and every fold in its order, and Enter opens it', async () => {
    await look('sweep', { viewport: { width: 1280, height: 900 } }, async (page) => {
      const focused = (): Promise<unknown> =>
        page.evaluate('document.activeElement.tagName + " " + document.activeElement.textContent.trim().slice(0, 12)');
      const isOpen = (): Promise<unknown> => page.evaluate('document.activeElement.parentElement.open');
      const met: unknown[] = [];
      for (let step = 0; step < 40; step++) {
        await page.keyboard.press('Tab');
        const here = await focused();
        if (String(here).startsWith('BODY')) break;
        met.push(here);
        if (!String(here).startsWith('SUMMARY')) continue;
        const before = await isOpen();
        await page.keyboard.press('Enter');
        expect(await isOpen()).toBe(!before);
        if (before === true) await page.keyboard.press('Enter');
      }
      const summaries = met.filter((each) => String(each).startsWith('SUMMARY'));
      expect(summaries).toHaveLength(await page.locator('summary').count());
      expect(met.filter((each) => String(each).startsWith('A '))).toHaveLength(5);
    });
  });

  test('the name of a server in the table leads to what is told of it, and unfolds it', async () => {
    await look('sweep', {}, async (page) => {
      const last = page.locator('details.server').last();
      expect(await last.getAttribute('open')).toBeNull();
      await page.getByRole('link', { name: 'mail' }).click();
      await page.locator('#server-5').waitFor({ state: 'visible' });
      expect(await last.getAttribute('open')).not.toBeNull();
    });
  });

  test('a screen reader finds the table by its name, with its heads', async () => {
    await look('sweep', {}, async (page) => {
      const servers = page.getByRole('table', { name: 'Results' });
      expect(await servers.getByRole('columnheader').allTextContents()).toContain('Latency(MS)');
      expect(await servers.getByRole('rowheader').count()).toBe(5);
      expect(await page.getByRole('img', { name: /^Waterfall: .*login 84\.2 ms, failed/ }).count()).toBe(1);
    });
  });

  test('it prints, on white, with what is folded away on the screen', async () => {
    await look('sweep', { colorScheme: 'dark' }, async (page) => {
      const pdf = await page.pdf({ format: 'A4', path: join(ARTEFACTS, 'report-sweep.pdf') });
      expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
      expect(pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length).toBeGreaterThanOrEqual(2);
      await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
      expect(await page.locator('#server-5').isVisible()).toBe(true);
      expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(27, 31, 36)');
      await page.screenshot({ path: join(ARTEFACTS, 'report-sweep-print.png'), fullPage: true });
    });
  });
});
