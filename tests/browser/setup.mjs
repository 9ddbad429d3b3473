// What the tests need: the built command, a browser, and the packages of the page. Says in plain words what is missing.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const house = path.resolve(fileURLToPath(import.meta.url), '../../..');
const work = path.join(house, 'target', 'browser');

/** The command: `KILN` in the environment, or what the workspace has built. */
export const kiln = process.env.KILN ?? path.join(house, 'target', 'debug', 'kiln');

/** Where pictures of the page are written. */
export const shots = path.join(work, 'screenshots');
fs.mkdirSync(shots, { recursive: true });

/** The browser: `CHROMIUM` in the environment, or one of the usual names. */
function browser() {
  const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const found = names.flatMap(name => folders.map(folder => path.join(folder, name))).find(file => fs.existsSync(file));
  return process.env.CHROMIUM ?? found;
}

/** The page of a version, unpacked from the Python package that has it; null where that can not be had. */
export function page(version) {
  const folder = path.join(work, version);
  const root = path.join(folder, 'comfyui_frontend_package', 'static');
  if (fs.existsSync(path.join(root, 'index.html'))) return root;
  const run = (...args) => execFileSync('python3', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    fs.rmSync(folder, { recursive: true, force: true });
    run('-m', 'pip', 'download', '--quiet', '--no-deps', `comfyui-frontend-package==${version}`, '-d', folder);
    const wheel = fs.readdirSync(folder).find(name => name.endsWith('.whl'));
    run('-m', 'zipfile', '-e', path.join(folder, wheel), folder);
    return root;
  } catch {
    return null;
  }
}

export const executablePath = browser();

/** Why nothing can be tested here, or false. */
export function missing(root = house) {
  if (!executablePath) return 'skipped: no browser (chromium is not installed)';
  if (!fs.existsSync(kiln)) return `skipped: ${kiln} is not built`;
  if (!root) return 'skipped: no web page package (pip can not fetch comfyui-frontend-package)';
  return false;
}
