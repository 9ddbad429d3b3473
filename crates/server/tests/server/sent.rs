//! Images that go over the websocket instead of into a file.

use image::RgbImage;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Running, Socket};

/// A batch of two images of one colour, sent.
fn sent(colour: i64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 3, "height": 2, "batch_size": 2, "color": colour}},
        "send": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
    })
}

/// The binary messages of a prompt, with the node that was at work when each came.
async fn pictures(socket: &mut Socket, id: &str) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut at_work) = (Vec::new(), String::new());
    loop {
        match socket.frame().await.expect("the socket is closed") {
            Message::Binary(bytes) => found.push((at_work.clone(), bytes.to_vec())),
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                let data = &message["data"];
                if message["type"] != "executing" || data["prompt_id"] != id {
                    continue;
                }
                match data["node"].as_str() {
                    Some(node) => node.clone_into(&mut at_work),
                    None => return found,
                }
            }
            _ => {}
        }
    }
}

fn png(bytes: &[u8]) -> RgbImage {
    assert!(!bytes.windows(4).any(|chunk| chunk == b"tEXt"), "no graph inside");
    image::load_from_memory_with_format(bytes, image::ImageFormat::Png).unwrap().to_rgb8()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_sent_whole_to_the_client_that_asked_and_every_time() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    let mut other = server.socket("?clientId=other").await;
    for _ in 0..2 {
        let id = server.queue(json!({"prompt": sent(0x01_02_03), "client_id": "me"})).await;
        let pictures = pictures(&mut socket, &id).await;
        assert_eq!(pictures.len(), 2);
        for (node, bytes) in &pictures {
            // As ComfyUI's example reads them: eight bytes before the image, from the node that is at work.
            assert_eq!((node.as_str(), &bytes[..8]), ("send", &[0, 0, 0, 1, 0, 0, 0, 2][..]));
            let image = png(&bytes[8..]);
            assert_eq!(image.dimensions(), (3, 2));
            assert!(image.pixels().all(|pixel| pixel.0 == [1, 2, 3]));
        }
        let entry = server.finished(&id).await;
        assert_eq!(entry["outputs"], json!({}), "nothing that could be looked at later");
    }
    assert!(!server.output("").exists() || server.json("/internal/files/output").await == json!([]));
    let id = server.queue(json!({"prompt": sent(5), "client_id": "other"})).await;
    assert_eq!(pictures(&mut other, &id).await.len(), 2, "only its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_metadata_is_told_what_an_image_belongs_to() {
    let server = Running::start().await;
    let mut socket = server.socket("?clientId=me").await;
    socket.say(json!({"type": "feature_flags", "data": {"supports_preview_metadata": true}})).await;
    while socket.message().await["type"] != "feature_flags" {}
    let id = server.queue(json!({"prompt": sent(7), "client_id": "me"})).await;
    let pictures = pictures(&mut socket, &id).await;
    assert_eq!(pictures.len(), 2);
    for (_, bytes) in &pictures {
        let length = u32::from_be_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let (metadata, picture) = bytes[8..].split_at(length);
        let metadata: Value = serde_json::from_slice(metadata).unwrap();
        assert_eq!(bytes[..4], [0, 0, 0, 4]);
        assert_eq!((&metadata["node_id"], &metadata["prompt_id"]), (&json!("send"), &json!(id)));
        assert_eq!(metadata["image_type"], "image/png");
        assert_eq!(png(picture).get_pixel(0, 0).0, [0, 0, 7]);
    }
}
