// Kiln's own page, with a token.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';

import { chromium } from 'playwright-core';

import { apple } from './graphs.mjs';
import { Server, until } from './server.mjs';
import { executablePath, missing, shots } from './setup.mjs';

const token = 'a-token-of-the-test';

describe("Kiln's own page", { skip: missing(), timeout: 60_000 }, () => {
  let server, browser, page;
  const troubles = [];

  before(async () => {
    server = await new Server(['--token', token]).start();
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
    page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
    page.on('pageerror', error => troubles.push(String(error)));
    // A browser asks for an icon by itself.
    const icon = message => message.location().url.endsWith('/favicon.ico');
    page.on('console', message => message.type() === 'error' && !icon(message) && troubles.push(message.text()));
    page.on('request', request => !request.url().startsWith(server.url) && !request.url().startsWith('data:') && troubles.push(`asks elsewhere: ${request.url()}`));
  });

  after(async () => {
    await browser?.close();
    await server?.remove();
  });

  const shown = words => until(`the page shows ${words}`, () => page.evaluate(words => document.body.innerText.includes(words), words));
  const post = graph => fetch(`${server.url}/prompt`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ prompt: graph }) });

  test('is closed without the token, and open with it', async () => {
    assert.equal((await fetch(`${server.url}/kiln`)).status, 401);
    assert.equal((await page.goto(`${server.url}/kiln?token=${token}`)).status(), 200);
    await page.screenshot({ path: path.join(shots, 'kiln-empty.png') });
    assert.deepEqual(troubles, []);
  });

  test('shows what runs, node by node, what waits, and the pictures that came out', async () => {
    assert.equal((await post(apple(1, 3, 'first'))).status, 200);
    await until('a picture', () => page.evaluate(() => [...document.images].some(image => image.naturalWidth > 0)));
    const long = await (await post(apple(2, 9000, 'long'))).json();
    await post(apple(3));
    await shown('KSampler');
    await shown(long.prompt_id.slice(0, 8));
    await page.screenshot({ path: path.join(shots, 'kiln-running.png') });
    await page.setViewportSize({ width: 420, height: 800 });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    await page.screenshot({ path: path.join(shots, 'kiln-narrow.png') });
    assert.ok(wider <= 0, `${wider} pixels wider than the window`);
    await fetch(`${server.url}/interrupt`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(troubles, []);
  });
});
