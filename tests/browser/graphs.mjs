// Graphs of the tests.

/** A small picture by the bundled model, as the API takes it. */
export function apple(seed = 7, steps = 3, prefix = 'apple') {
  return {
    1: { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'fluent-tiny.safetensors' } },
    2: { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: 'a red apple' } },
    3: { class_type: 'CLIPTextEncode', inputs: { clip: ['1', 1], text: '' } },
    4: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
    5: {
      class_type: 'KSampler',
      inputs: {
        model: ['1', 0], positive: ['2', 0], negative: ['3', 0], latent_image: ['4', 0],
        seed, steps, cfg: 4, sampler_name: 'euler', scheduler: 'normal', denoise: 1,
      },
    },
    6: { class_type: 'VAEDecode', inputs: { samples: ['5', 0], vae: ['1', 2] } },
    7: { class_type: 'SaveImage', inputs: { images: ['6', 0], filename_prefix: prefix } },
  };
}

/** A picture of one colour that is inverted and saved, and the picture itself shown. */
export function colour(value = 0xff0000, prefix = 'colour') {
  return {
    1: { class_type: 'EmptyImage', inputs: { width: 32, height: 16, batch_size: 1, color: value } },
    2: { class_type: 'ImageInvert', inputs: { image: ['1', 0] } },
    3: { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: prefix } },
    4: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
  };
}

/** The classes of a graph, sorted. */
export const classes = graph => Object.values(graph).map(node => node.class_type).sort();

const node = (id, type, more) => ({ id, type, pos: [60 + 320 * id, 200], size: [280, 120], flags: {}, order: id, mode: 0, inputs: [], outputs: [], properties: { 'Node name for S&R': type }, ...more });

/** A saved graph with a group node: a picture of one colour that is inverted inside, and saved outside. */
export function grouped(prefix = 'grouped') {
  const inside = [
    node(0, 'EmptyImage', { index: 0, outputs: [{ name: 'IMAGE', type: 'IMAGE', links: [] }], widgets_values: [24, 8, 1, 255] }),
    node(1, 'ImageInvert', { index: 1, inputs: [{ name: 'image', type: 'IMAGE', link: null }], outputs: [{ name: 'IMAGE', type: 'IMAGE', links: [] }] }),
  ];
  return {
    last_node_id: 2,
    last_link_id: 1,
    nodes: [
      node(1, 'workflow>pair', { outputs: [{ name: 'ImageInvert IMAGE', type: 'IMAGE', links: [1] }], widgets_values: [24, 8, 1, 255] }),
      node(2, 'SaveImage', { inputs: [{ name: 'images', type: 'IMAGE', link: 1 }], widgets_values: [prefix] }),
    ],
    links: [[1, 1, 0, 2, 0, 'IMAGE']],
    groups: [],
    config: {},
    extra: { groupNodes: { pair: { nodes: inside, links: [[0, 0, 1, 0, 1, 'IMAGE']], external: [] } } },
    version: 0.4,
  };
}
