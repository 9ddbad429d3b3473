//! Files over HTTP: images and their codings, uploads, masks, and names that lead nowhere.

use kiln_nodes::files::{Colour, PngImage, read_png, write_png};
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{Running, saved};

/// An image of 2 by 1 pixels, the first opaque and the second not.
fn png() -> Vec<u8> {
    let pixels = vec![10, 20, 30, 255, 40, 50, 60, 0];
    let texts = [("prompt".to_owned(), "{}".to_owned())].into_iter().collect();
    write_png(&PngImage { width: 2, height: 1, colour: Colour::Rgba, pixels, texts }, 1).unwrap()
}

fn form(name: &str, bytes: Vec<u8>) -> Form {
    Form::new().part("image", Part::bytes(bytes).file_name(name.to_owned()))
}

async fn upload(server: &Running, path: &str, form: Form) -> (StatusCode, Value) {
    let response = server.http.post(server.url(path)).multipart(form).send().await.unwrap();
    (response.status(), response.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_image_is_seen_with_tags_and_ranges() {
    let server = Running::start().await;
    let id = server.queue(json!({"prompt": saved("sub/seen", 0x00ff_0000)})).await;
    server.finished(&id).await;
    let url = "/view?filename=seen_00001_.png&subfolder=sub&type=output&rand=0.5";
    let seen = server.get(url).await;
    assert_eq!(seen.status(), StatusCode::OK);
    assert_eq!(seen.headers()["content-type"], "image/png");
    assert_eq!(seen.headers()["content-disposition"], "filename=\"seen_00001_.png\"");
    assert!(seen.headers().contains_key("last-modified") && !seen.headers().contains_key("cache-control"));
    let tag = seen.headers()["etag"].clone();
    let file = std::fs::read(server.output("sub/seen_00001_.png")).unwrap();
    assert_eq!(seen.bytes().await.unwrap(), file);
    let known = server.http.get(server.url(url)).header("If-None-Match", tag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let part = server.http.get(server.url(url)).header("Range", "bytes=0-3").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), file[..4]);
    let as_api = server.get(&format!("/api{url}")).await;
    assert_eq!(as_api.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_shown_in_other_codings() {
    let server = Running::start().await;
    let (status, stored) = upload(&server, "/upload/image", form("two.png", png())).await;
    assert_eq!((status, stored), (StatusCode::OK, json!({"name": "two.png", "subfolder": "", "type": "input"})));
    let shown = async |query: &str| {
        let response = server.get(&format!("/view?filename=two.png&type=input{query}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, image::load_from_memory(&response.bytes().await.unwrap()).unwrap())
    };
    // Lossy, as ComfyUI's: the transparency is exact, colours nearly, and colours that nobody sees are any.
    let (kind, webp) = shown("&preview=webp;90").await;
    let webp = webp.to_rgba8().into_raw();
    assert_eq!((kind.as_str(), webp[3], webp[7], webp.len()), ("image/webp", 255, 0, 8));
    assert!(webp[..3].iter().zip([10_u8, 20, 30]).all(|(got, sent)| got.abs_diff(sent) < 12), "{webp:?}");
    let (kind, jpeg) = shown("&preview=jpeg;80").await;
    assert_eq!((kind.as_str(), jpeg.color().channel_count()), ("image/jpeg", 3));
    let (kind, colours) = shown("&channel=rgb").await;
    assert_eq!((kind.as_str(), colours.into_bytes()), ("image/png", vec![10, 20, 30, 40, 50, 60]));
    let (_, opacity) = shown("&channel=a").await;
    assert_eq!(opacity.into_bytes(), [0, 0, 0, 255, 0, 0, 0, 0]);
    // The annotation wins.
    assert_eq!(server.get("/view?filename=two.png [input]&type=temp").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_replace_nothing_unasked_and_masks_go_into_their_original() {
    let server = Running::start().await;
    let name = async |form: Form| upload(&server, "/upload/image", form).await.1["name"].as_str().unwrap().to_owned();
    assert_eq!(name(form("a.txt", b"one".to_vec())).await, "a.txt");
    assert_eq!(name(form("a.txt", b"one".to_vec())).await, "a.txt");
    assert_eq!(name(form("a.txt", b"two".to_vec())).await, "a (1).txt");
    assert_eq!(name(form("a.txt", b"new".to_vec()).text("overwrite", "true")).await, "a.txt");
    assert_eq!(std::fs::read(server.root.path().join("input/a.txt")).unwrap(), b"new");
    let (_, sub) = upload(&server, "/api/upload/image", form("b.txt", vec![]).text("subfolder", "x/y")).await;
    assert_eq!(sub, json!({"name": "b.txt", "subfolder": "x/y", "type": "input"}));

    let rgb = write_png(
        &PngImage {
            width: 2,
            height: 1,
            colour: Colour::Rgb,
            pixels: vec![1, 2, 3, 4, 5, 6],
            texts: [("workflow".to_owned(), "{}".to_owned())].into_iter().collect(),
        },
        1,
    );
    name(form("original.png", rgb.unwrap())).await;
    let mask = |original: Value| {
        form("masked.png", png()).text("subfolder", "clipspace").text("original_ref", original.to_string())
    };
    let original = json!({"filename": "original.png", "type": "input"});
    let (status, stored) = upload(&server, "/upload/mask", mask(original)).await;
    assert_eq!((status, &stored["name"]), (StatusCode::OK, &json!("masked.png")));
    let masked = read_png(&server.root.path().join("input/clipspace/masked.png")).unwrap();
    assert_eq!(masked.pixels, [1, 2, 3, 255, 4, 5, 6, 0]);
    assert_eq!(masked.texts["workflow"], "{}");
    let missing = upload(&server, "/upload/mask", mask(json!({"filename": "nope.png"}))).await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_are_refused() {
    let server = Running::start().await;
    let root = server.root.path();
    std::fs::write(root.join("secret.txt"), "secret").unwrap();
    std::fs::create_dir_all(root.join("output/x")).unwrap();
    std::fs::create_dir_all(root.join("user/default")).unwrap();
    for (query, status) in [
        ("", 404),
        ("?filename=", 400),
        ("?filename=/etc/passwd", 400),
        ("?filename=../secret.txt", 400),
        ("?filename=a%00b", 400),
        ("?filename=secret.txt&subfolder=..", 403),
        ("?filename=secret.txt&subfolder=x/../..", 403),
        ("?filename=passwd&subfolder=/etc", 403),
        ("?filename=a.png&type=nope", 400),
        ("?filename=a.png", 404),
    ] {
        assert_eq!(server.get(&format!("/view{query}")).await.status().as_u16(), status, "{query}");
    }
    for (name, subfolder) in [("../x.txt", ""), ("x.txt", ".."), ("x.txt", "/tmp"), ("", "")] {
        let (status, _) =
            upload(&server, "/upload/image", form(name, vec![1]).text("subfolder", subfolder.to_owned())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name} {subfolder}");
    }
    let (status, _) = upload(&server, "/upload/image", form("x", vec![1]).text("type", "models")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    for path in ["/userdata/..%2F..%2Fsecret.txt", "/userdata/%252E%252E%252F%252E%252E%252Fsecret.txt"] {
        assert_eq!(server.get(path).await.status(), StatusCode::FORBIDDEN, "{path}");
        assert_eq!(server.post(path, "x").await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(server.get("/userdata?dir=../..").await.status(), StatusCode::FORBIDDEN);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(root, root.join("output/link")).unwrap();
        std::os::unix::fs::symlink(root, root.join("user/default/link")).unwrap();
        let linked = server.get("/view?filename=secret.txt&subfolder=link").await;
        assert_eq!(linked.status(), StatusCode::FORBIDDEN);
        assert_eq!(server.get("/userdata/link%2Fsecret.txt").await.status(), StatusCode::FORBIDDEN);
        let listed = server.json("/v2/userdata").await;
        assert_eq!(listed, json!([]), "what lies outside is not listed");
    }
    assert_eq!(std::fs::read_to_string(root.join("secret.txt")).unwrap(), "secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_could_run_is_only_kept() {
    let server = Running::start().await;
    for name in ["a.html", "a.js", "a.svg", "a.css", "a.xml"] {
        upload(&server, "/upload/image", form(name, b"<svg/>".to_vec())).await;
        let response = server.get(&format!("/view?type=input&filename={name}")).await;
        assert_eq!(response.headers()["content-type"], "application/octet-stream", "{name}");
        assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"{name}\""));
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    let image = server.http.get(server.url("/view?type=input&filename=a.svg")).header("Sec-Fetch-Dest", "image");
    assert_eq!(image.send().await.unwrap().headers()["content-type"], "image/svg+xml");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_forms_and_broken_images_are_refused() {
    let server = Running::with(|config| config.max_upload = 100_000).await;
    let url = server.url("/upload/image");
    let plain = server.http.post(&url).body("x").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    let cut = server.http.post(&url).header("Content-Type", "multipart/form-data; boundary=b").body("--b\r\nConte");
    assert_eq!(cut.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    let (status, _) = upload(&server, "/upload/image", form("large", vec![0; 200_000])).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _) = upload(&server, "/upload/image", Form::new().text("image", "no file")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    // A bomb: a header that claims 60000 by 60000 pixels.
    let mut bomb = png();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    upload(&server, "/upload/image", form("bomb.png", bomb)).await;
    let shown = server.get("/view?type=input&filename=bomb.png&preview=webp").await;
    assert_eq!(shown.status(), StatusCode::BAD_REQUEST);
    // Another kind: WEBP without loss, 16384 by 16384 pixels in 25 bytes.
    let size = (16_383_u32 | 16_383 << 14).to_le_bytes();
    let bomb = [&b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f"[..], &size].concat();
    upload(&server, "/upload/image", form("bomb.webp", bomb)).await;
    for wanted in ["preview=jpeg", "channel=rgb", "channel=a"] {
        let shown = server.get(&format!("/view?type=input&filename=bomb.webp&{wanted}")).await;
        assert_eq!(shown.status(), StatusCode::BAD_REQUEST, "{wanted}");
    }
}
