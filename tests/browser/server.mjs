// A server of the built command, in folders of its own.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { house, kiln } from './setup.mjs';

const patience = 15_000;

/** Servers that run: none outlives the tests, however they end. */
const running = new Set();
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** What a first visit would ask, answered before. */
const seen = { 'Comfy.TutorialCompleted': true, 'Comfy.Notification.ShowVersionUpdates': false };

export class Server {
  constructor(arguments_ = []) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'kiln-browser-'));
    this.arguments = arguments_;
    this.port = 0;
  }

  async start() {
    const places = ['--base-directory', this.folder, '--data-dir', path.join(this.folder, 'data')];
    const all = ['serve', '--port', String(this.port), ...places, ...this.arguments];
    this.child = spawn(kiln, all, { cwd: house, stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(this.child);
    this.child.once('exit', () => running.delete(this.child));
    this.said = '';
    this.url = await new Promise((found, failed) => {
      const given_up = setTimeout(() => failed(new Error(`the server does not come up: ${this.said}`)), patience);
      this.child.stderr.on('data', text => {
        this.said += text;
        const url = this.said.match(/http:\/\/[0-9.]+:\d+(?=\s)/);
        if (url) clearTimeout(given_up), found(url[0]);
      });
    });
    this.port = Number(new URL(this.url).port);
    return this;
  }

  /** Ends it as a person does who presses Ctrl-C. */
  async stop() {
    const ended = new Promise(resolve => this.child.once('exit', resolve));
    this.child.kill('SIGINT');
    await ended;
  }

  async remove() {
    await this.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  async json(path_) {
    const answer = await fetch(this.url + path_);
    if (!answer.ok) throw new Error(`${path_}: ${answer.status}`);
    return answer.json();
  }

  async post(path_, body) {
    return fetch(this.url + path_, { method: 'POST', body: JSON.stringify(body) });
  }

  /** The page finds no first visit. */
  async welcome() {
    await this.post('/settings', seen);
  }

  file(...parts) {
    return path.join(this.folder, ...parts);
  }

  /** Waits until the queue is empty. */
  async idle() {
    await until('the queue is empty', async () => {
      const queue = await this.json('/queue');
      return queue.queue_running.length + queue.queue_pending.length === 0;
    });
  }
}

/** Waits for something to be so, and returns what it was. */
export async function until(what, is, most = patience) {
  const end = Date.now() + most;
  for (;;) {
    const value = await is();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
