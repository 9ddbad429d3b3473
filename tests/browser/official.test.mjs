// The official page of ComfyUI, in two versions, on Kiln's server.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { chromium } from 'playwright-core';

import { apple, classes, colour, grouped } from './graphs.mjs';
import { Server, until } from './server.mjs';
import { executablePath, missing, page } from './setup.mjs';
import { Tab, read } from './tab.mjs';

for (const version of ['1.32.9', '1.58.1']) {
  const root = page(version);
  describe(`the page ${version}`, { skip: missing(root), timeout: 180_000 }, () => {
    let server, browser, context, tab;

    before(async () => {
      server = await new Server(['--front-end-root', root, '--preview-method', 'auto']).start();
      browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
      context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
      await server.welcome();
      tab = await Tab.open(context, server.url);
    });

    after(async () => {
      await browser?.close();
      await server?.remove();
    });

    /** Queues what is shown and waits for its end. */
    async function runs() {
      await tab.listen();
      await tab.queue();
      await tab.hears('execution_success');
      await server.idle();
    }

    /** The newest entry of the history. */
    async function newest() {
      const history = await server.json('/history?max_items=1');
      return Object.values(history)[0];
    }

    test('loads without a failed request, with its default graph', async () => {
      assert.deepEqual(tab.calm(), []);
      const shown = await tab.classes();
      assert.ok(shown.includes('KSampler') && shown.includes('SaveImage'), String(shown));
      await tab.shot(`${version}-loaded`);
    });

    test('a dropped API file is shown and runs; its picture is in the node, in the folder and in the history', async () => {
      await tab.dropGraph(apple(), classes(apple()));
      await runs();
      await until('the picture is in the node', () => tab.pictures('SaveImage'));
      assert.ok(fs.existsSync(server.file('output', 'apple_00001_.png')));
      assert.equal((await newest()).status.status_str, 'success');
      assert.deepEqual(tab.calm(), []);
      await tab.shot(`${version}-picture`);
    });

    test('a saved picture that is dropped brings its graph back', async () => {
      await tab.dropGraph(colour(), classes(colour()));
      await tab.drop('apple.png', read(server.file('output', 'apple_00001_.png')), 'image/png');
      await until('the graph of the picture', async () => String(await tab.classes()) === String(classes(apple())));
    });

    test('an editor file that is dropped is shown', async () => {
      const file = await tab.run(() => window.app.graph.serialize());
      await tab.run(() => window.app.graph.clear());
      await tab.drop('saved.json', JSON.stringify(file), 'application/json');
      await until('the graph of the file', async () => String(await tab.classes()) === String(classes(apple())));
    });

    test('a changed widget is what runs, with progress and live previews', async () => {
      await tab.set('KSampler', 'steps', 6);
      await tab.set('KSampler', 'seed', 99);
      await runs();
      const prompt = (await newest()).prompt[2];
      const sampler = Object.values(prompt).find(node => node.class_type === 'KSampler');
      assert.deepEqual([sampler.inputs.steps, sampler.inputs.seed], [6, 99]);
      const steps = (await tab.heard('progress')).map(step => [step.value, step.max]);
      assert.deepEqual(steps.filter(([, max]) => max === 6).at(-1), [6, 6]);
      const previews = [...await tab.heard('b_preview'), ...await tab.heard('b_preview_with_metadata')];
      assert.ok(previews.length > 0, 'a picture of a step');
    });

    test('a run can be stopped, one of many waiting ones taken out, and the rest cleared', async () => {
      await tab.dropGraph(apple(1, 9000), classes(apple()));
      await tab.listen();
      await tab.queue();
      await tab.hears('progress');
      for (const seed of [2, 3, 4]) {
        await tab.set('KSampler', 'seed', seed);
        await tab.queue();
      }
      const waiting = await until('three wait', async () => {
        const queue = await server.json('/queue');
        return queue.queue_pending.length === 3 && queue.queue_pending;
      });
      await tab.run(id => window.app.api.deleteItem('queue', id), waiting[1][1]);
      const left = (await server.json('/queue')).queue_pending.map(job => job[1]);
      assert.deepEqual(left, [waiting[0][1], waiting[2][1]]);
      await tab.command('Comfy.ClearPendingTasks');
      await until('nothing waits', async () => (await server.json('/queue')).queue_pending.length === 0);
      await tab.command('Comfy.Interrupt');
      await tab.hears('execution_interrupted');
      await server.idle();
      assert.deepEqual(tab.calm(), []);
    });

    test('an input that is not fit shows at its node', async () => {
      await tab.dropGraph(colour(), classes(colour()));
      await tab.set('EmptyImage', 'width', 0);
      await tab.queue();
      const faulty = await until('the error', () => tab.run(() => {
        const errors = window.app.lastNodeErrors;
        return errors && Object.keys(errors).map(id => window.app.graph.getNodeById(id)?.type);
      }));
      assert.deepEqual(faulty, ['EmptyImage']);
      await tab.shot(`${version}-error`);
      await tab.page.keyboard.press('Escape');
      tab.calm(); // The refusal is a status 400.
    });

    test('an error while a node runs shows at that node', async () => {
      const graph = { 1: { class_type: 'LoadImage', inputs: { image: 'broken.png' } }, 2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } } };
      fs.mkdirSync(server.file('input'), { recursive: true });
      fs.writeFileSync(server.file('input', 'broken.png'), 'no picture');
      await tab.command('Comfy.RefreshNodeDefinitions');
      await tab.dropGraph(graph, classes(graph));
      await tab.listen();
      await tab.queue();
      await tab.hears('execution_error');
      const error = await until('the error', () => tab.run(() => window.app.lastExecutionError));
      const faulty = await tab.run(id => window.app.graph.getNodeById(id)?.type, error.node_id);
      assert.deepEqual([faulty, error.node_type], ['LoadImage', 'LoadImage']);
      await tab.page.keyboard.press('Escape');
      tab.calm();
    });

    test('a graph with a class that is not here says so and names it', async () => {
      const saved = await tab.run(() => window.app.graph.serialize());
      saved.nodes[0].type = 'NobodyHasThisNode';
      await tab.drop('strange.json', JSON.stringify(saved), 'application/json');
      await until('the page names the class', () => tab.run(() => document.body.innerText.includes('NobodyHasThisNode')));
      await tab.shot(`${version}-missing`);
      await tab.page.keyboard.press('Escape');
      tab.calm();
    });

    test('bypassed and muted nodes do not run', async () => {
      const changed = async mode => {
        await tab.reload();
        await tab.dropGraph(colour(mode), classes(colour()));
        await tab.run(mode => (window.app.graph._nodes.find(node => node.type === 'ImageInvert').mode = mode), mode);
        await runs();
        const { prompt, outputs } = await newest();
        return [Object.values(prompt[2]).map(node => node.class_type).sort(), Object.keys(outputs).length];
      };
      // What a muted node would have given is missing at the node that saves, which does not run then.
      const left = ['EmptyImage', 'PreviewImage', 'SaveImage'];
      assert.deepEqual(await changed(4), [left, 2], 'bypassed');
      assert.deepEqual(await changed(2), [left, 1], 'muted');
      tab.calm();
    });

    test('only the chosen output runs', async () => {
      await tab.dropGraph(colour(5, 'partial'), classes(colour()));
      await tab.listen();
      await tab.run(() => window.app.canvas.selectNodes(window.app.graph._nodes.filter(node => node.type === 'PreviewImage')));
      await tab.command('Comfy.QueueSelectedOutputNodes');
      await tab.hears('execution_success');
      await server.idle();
      assert.equal(Object.keys((await newest()).outputs).length, 1);
      assert.ok(!fs.existsSync(server.file('output', 'partial_00001_.png')));
    });

    test('nodes that become a subgraph run as before', async () => {
      await tab.dropGraph(colour(6, 'inside'), classes(colour()));
      await tab.run(() => window.app.canvas.selectNodes(window.app.graph._nodes.filter(node => ['EmptyImage', 'ImageInvert'].includes(node.type))));
      await tab.command('Comfy.Graph.ConvertToSubgraph');
      await until('two nodes are one', async () => (await tab.classes()).length === 3);
      await runs();
      assert.ok(fs.existsSync(server.file('output', 'inside_00001_.png')));
      assert.ok(Object.keys((await newest()).prompt[2]).some(id => id.includes(':')), 'ids of nodes inside');
      await until('the picture is in the node', () => tab.pictures('SaveImage'));
      tab.calm();
    });

    test('a group node of an old file runs', async () => {
      await tab.drop('grouped.json', JSON.stringify(grouped()), 'application/json');
      await until('the group node is shown', async () => (await tab.classes()).length === 2);
      await runs();
      assert.ok(fs.existsSync(server.file('output', 'grouped_00001_.png')));
      tab.calm();
    });

    test('a picture that is uploaded can be loaded', async () => {
      const graph = { 1: { class_type: 'LoadImage', inputs: { image: 'broken.png' } }, 2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } } };
      await tab.dropGraph(graph, classes(graph));
      const chosen = tab.page.waitForEvent('filechooser');
      await tab.run(() => window.app.graph._nodes.find(node => node.type === 'LoadImage').widgets.find(widget => widget.name === 'upload').callback());
      await (await chosen).setFiles({ name: 'mine.png', mimeType: 'image/png', buffer: read(server.file('output', 'colour_00001_.png')) });
      await until('the node has the picture', () => tab.run(() => window.app.graph._nodes.find(node => node.type === 'LoadImage').widgets.find(widget => widget.name === 'image').value === 'mine.png'));
      await runs();
      assert.ok(fs.existsSync(server.file('input', 'mine.png')));
      assert.deepEqual(tab.calm(), []);
    });

    test('a mask that is painted over a picture is uploaded, and the picture loads with it', async () => {
      await tab.command('Comfy.Canvas.FitView');
      await until('the picture is in the node', () => tab.pictures('LoadImage'));
      await tab.run(() => window.app.canvas.selectNodes(window.app.graph._nodes.filter(node => node.type === 'LoadImage')));
      await tab.command('Comfy.MaskEditor.OpenMaskEditor');
      const save = tab.page.locator('button', { hasText: /^\s*Save\s*$/ }).filter({ visible: true }).last();
      await save.waitFor();
      await tab.page.waitForTimeout(1500);
      await tab.shot(`${version}-mask`);
      await save.click();
      const painted = await until('the painted picture is chosen', () => tab.run(() => {
        const chosen = window.app.graph._nodes.find(node => node.type === 'LoadImage').widgets.find(widget => widget.name === 'image').value;
        return chosen.includes('clipspace') && chosen;
      }));
      assert.match(painted, /\[input\]$/);
      assert.ok(fs.existsSync(server.file('input', painted.replace(' [input]', ''))), painted);
      await runs();
      assert.deepEqual(tab.calm(), []);
    });

    test('settings and workflows of the user are there after a reload', async () => {
      await tab.run(() => window.app.extensionManager.setting.set('Comfy.LinkRenderMode', 0));
      await tab.dropGraph(colour(8, 'kept'), classes(colour()));
      const saved = await tab.run(async () => {
        const text = JSON.stringify(window.app.graph.serialize());
        const answer = await window.app.api.storeUserData('workflows/kept.json', text, { stringify: false, overwrite: true });
        return answer.status;
      });
      assert.equal(saved, 200);
      await until('the setting is kept', async () => (await server.json('/settings'))['Comfy.LinkRenderMode'] === 0);
      await tab.reload();
      assert.equal(await tab.run(() => window.app.extensionManager.setting.get('Comfy.LinkRenderMode')), 0);
      await tab.command('Workspace.ToggleSidebarTab.workflows');
      await tab.page.getByText('kept', { exact: false }).first().click();
      await until('the workflow is open', async () => String(await tab.classes()) === String(classes(colour())));
      await tab.shot(`${version}-workflows`);
      await tab.command('Workspace.ToggleSidebarTab.workflows');
      assert.deepEqual(tab.calm(), []);
    });

    test('the library shows the models', async () => {
      await tab.command('Workspace.ToggleSidebarTab.model-library');
      await tab.page.getByText('checkpoints', { exact: true }).first().click();
      await tab.page.getByText('fluent-tiny', { exact: false }).first().waitFor();
      await tab.shot(`${version}-models`);
      await tab.command('Workspace.ToggleSidebarTab.model-library');
      assert.deepEqual(tab.calm(), []);
    });

    test('without the package of templates the page says nothing of an error', async () => {
      await tab.command('Comfy.BrowseTemplates');
      await tab.page.waitForTimeout(500);
      await tab.page.keyboard.press('Escape');
      assert.deepEqual(tab.calm(), []);
    });

    test('two tabs hear of their own prompts', async () => {
      const other = await Tab.open(context, server.url);
      await other.dropGraph(colour(9, 'other'), classes(colour()));
      await tab.dropGraph(colour(10, 'mine'), classes(colour()));
      await Promise.all([tab.listen(), other.listen()]);
      await tab.queue();
      await tab.hears('execution_success');
      await other.queue();
      await other.hears('execution_success');
      const prompts = async tab => (await tab.heard('execution_start')).map(start => start.prompt_id);
      const [mine, others] = [await prompts(tab), await prompts(other)];
      assert.deepEqual([mine.length, others.length], [1, 1]);
      assert.notEqual(mine[0], others[0]);
      await other.page.close();
      await tab.page.bringToFront();
    });

    test('after a restart of the server the page is connected again, and the history is there', async () => {
      const before = Object.keys(await server.json('/history'));
      await tab.listen();
      await server.stop();
      await server.start();
      await tab.hears('reconnected');
      assert.deepEqual(Object.keys(await server.json('/history')), before);
      await tab.dropGraph(colour(11, 'again'), classes(colour()));
      await runs();
      await tab.reload();
      assert.equal(Object.keys(await server.json('/history')).length, before.length + 1);
      tab.calm(); // What was asked while nobody answered.
    });
  });
}
