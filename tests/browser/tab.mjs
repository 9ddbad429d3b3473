// A tab of the browser with the page in it, and what a person does there.

import fs from 'node:fs';
import path from 'node:path';

import { shots } from './setup.mjs';
import { until } from './server.mjs';

/** What is missing on a server that was never used, and what the page itself asks of other hosts. */
const normal = [
  /\/user\.css$/,
  /\/userdata\?dir=/,
  /\/userdata\/comfy\.templates\.json$/,
  /\/userdata\/workflows%2F\.index\.json/,
  /\/templates\/index_logo\.json$/,
  /\/experiment\/models\/preview\//,
];

export class Tab {
  /** Opens the page, and waits until it has its graph. */
  static async open(context, url) {
    const tab = new Tab();
    tab.page = await context.newPage();
    tab.troubles = [];
    const here = address => address.startsWith(url);
    tab.page.on('response', answer => {
      const known = normal.some(pattern => pattern.test(answer.url()));
      if (here(answer.url()) && answer.status() >= 400 && !known) tab.troubles.push(`${answer.status()} ${answer.url()}`);
    });
    // The older page sometimes takes out a box that is gone already, whatever the server says.
    tab.page.on('pageerror', error => error.name !== 'NotFoundError' && tab.troubles.push(String(error)));
    await tab.page.goto(url);
    await tab.ready();
    return tab;
  }

  async ready() {
    await this.page.waitForFunction(() => window.app?.graph && window.app?.extensionManager?.setting && !document.querySelector('#splash-loader'));
    await until('the page has nodes to offer', () => this.page.evaluate(() => Object.keys(window.LiteGraph?.registered_node_types ?? {}).length > 100));
    await until('the page has its first graph', () => this.page.evaluate(() => window.app.graph._nodes.length > 0), 15_000).catch(() => {});
    await this.page.waitForTimeout(700);
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  run(what, argument) {
    return this.page.evaluate(what, argument);
  }

  /** The classes of the graph that is shown, sorted. */
  classes() {
    return this.run(() => window.app.graph._nodes.map(node => node.type).sort());
  }

  /** Drops a file onto the page. */
  async drop(name, bytes, type) {
    const data = Buffer.from(bytes).toString('base64');
    await this.run(({ name, data, type }) => {
      const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type }));
      const canvas = document.querySelector('#graph-canvas');
      for (const kind of ['dragenter', 'dragover', 'drop']) {
        canvas.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer, clientX: 700, clientY: 850 }));
      }
    }, { name, data, type });
  }

  /** Drops a graph, and waits until it is the one that is shown. */
  async dropGraph(graph, expected) {
    await this.run(() => window.app.graph.clear());
    await this.drop('graph.json', JSON.stringify(graph), 'application/json');
    await until('the dropped graph is shown', async () => String(await this.classes()) === String(expected));
    // Nodes load their pictures when they are drawn.
    await this.command('Comfy.Canvas.FitView');
  }

  /** Presses the button that queues. */
  async queue() {
    // Not by the pointer: what fades away above the button may take its time in a browser without a window.
    await this.page.locator('[data-testid=queue-button] button, button[data-testid=queue-button]').first().dispatchEvent('click');
  }

  /** Runs one of the page's commands, as its menus and keys do. */
  command(id) {
    return this.run(id => window.app.extensionManager.command.execute(id), id);
  }

  /** Hears the server's messages from now on: their kinds with their data. */
  async listen() {
    await this.run(() => {
      window.heard = [];
      const kinds = ['status', 'execution_start', 'execution_cached', 'executing', 'progress', 'progress_state', 'executed', 'execution_success', 'execution_error', 'execution_interrupted', 'b_preview', 'b_preview_with_metadata', 'reconnected'];
      for (const kind of kinds) {
        window.app.api.addEventListener(kind, event => window.heard.push([kind, JSON.parse(JSON.stringify(event.detail ?? null))]));
      }
    });
  }

  heard(kind) {
    return this.run(kind => window.heard.filter(([heard]) => heard === kind).map(([, data]) => data), kind);
  }

  /** Waits for a message. */
  hears(kind, count = 1) {
    return until(`the page hears ${kind}`, async () => (await this.heard(kind)).length >= count);
  }

  /** How many pictures the node of a class shows. */
  pictures(kind) {
    return this.run(kind => window.app.graph._nodes.filter(node => node.type === kind).flatMap(node => node.imgs ?? []).length, kind);
  }

  set(kind, widget, value) {
    return this.run(([kind, name, value]) => {
      const node = window.app.graph._nodes.find(node => node.type === kind);
      const widget = node.widgets.find(widget => widget.name === name);
      widget.value = value;
      widget.callback?.(value);
    }, [kind, widget, value]);
  }

  async shot(name) {
    await this.page.screenshot({ path: path.join(shots, `${name}.png`) });
  }

  /** Nothing that is amiss was said since the last time. */
  calm() {
    return this.troubles.splice(0);
  }
}

export const read = file => fs.readFileSync(file);
