import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** Whether tests with a real browser can run here. With AMBERWATCH_TEST_REQUIRE_SERVICES=1 they must. */
export function hasBrowser(): boolean {
  if (executablePath === undefined && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1')
    throw new Error(
      'chromium is not installed and AMBERWATCH_TEST_REQUIRE_SERVICES=1; on Debian: apt-get install chromium',
    );
  return executablePath !== undefined;
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ ...(executablePath && { executablePath }), args: ['--no-sandbox'] });
}

export interface Look {
  colorScheme?: 'light' | 'dark';
  width?: number;
  locale?: string;
}

/** A page whose complaints, of the console and of the policy for content, are kept. */
export async function openPage(browser: Browser, { colorScheme = 'light', width = 1280, locale = 'en-GB' }: Look = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, locale });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { context, page, complaints };
}

/** Text of what is seen. */
export function textOf(page: Page, selector = 'main'): Promise<string> {
  return page.locator(selector).innerText();
}
