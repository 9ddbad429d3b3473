//! Files of every format that carries texts, made as the programs make them that people use.

pub const PROMPT: &str = r#"{"1": {"class_type": "Make", "inputs": {"text": "a: b"}}, "2": {"class_type": "Sink", "inputs": {"x": ["1", 0]}}}"#;
pub const WORKFLOW: &str =
    r#"{"nodes": [{"id": 1, "type": "Make", "widgets_values": ["a: b"]}], "links": [], "version": 0.4}"#;

/// The texts as one object of JSON texts, as older video nodes write them.
pub fn both_in_one(texts: &[(&str, &str)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
    serde_json::Value::from(object).to_string()
}

fn sized(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_be_bytes(), data].concat()
}

pub fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_be_bytes()[..], &kind, data, b"crc!"].concat()
}

pub fn chunks(kind: [u8; 4], texts: &[(&str, &str)]) -> Vec<Vec<u8>> {
    texts.iter().map(|(name, text)| chunk(kind, format!("{name}\0{text}").as_bytes())).collect()
}

fn packed(text: &str) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), 6)
}

pub fn packed_chunks(texts: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let data = |(name, text): &(&str, &str)| [name.as_bytes(), b"\0\0", &packed(text)].concat();
    texts.iter().map(|text| chunk(*b"zTXt", &data(text))).collect()
}

pub fn international_chunks(texts: &[(&str, &str)], pack: bool) -> Vec<Vec<u8>> {
    let data = |(name, text): &(&str, &str)| {
        let value = if pack { packed(text) } else { text.as_bytes().to_vec() };
        [name.as_bytes(), &[0, u8::from(pack), 0], b"en\0", "übersetzt\0".as_bytes(), &value].concat()
    };
    texts.iter().map(|text| chunk(*b"iTXt", &data(text))).collect()
}

pub fn png(before: &[Vec<u8>], behind: &[Vec<u8>]) -> Vec<u8> {
    let start = [b"\x89PNG\r\n\x1a\n", &*chunk(*b"IHDR", &[0; 13])].concat();
    let end = chunk(*b"IEND", &[]);
    [start, before.concat(), chunk(*b"IDAT", &[7; 50]), behind.concat(), end].concat()
}

/// EXIF with `name:text` under the tags from the camera's model on downwards, as ComfyUI writes it.
pub fn exif(texts: &[(&str, &str)], big: bool) -> Vec<u8> {
    let entries: Vec<(u16, u16, Vec<u8>)> = texts
        .iter()
        .zip((0..=0x0110).rev())
        .map(|((name, text), tag)| (tag, 2, format!("{name}:{text}\0").into_bytes()))
        .rev()
        .collect();
    tiff(&entries, big)
}

/// EXIF with a user's comment in a list of tags of its own.
pub fn user_comment(sign: [u8; 8], data: &[u8]) -> Vec<u8> {
    let inner = tiff(&[(0x9286, 7, [&sign[..], data].concat())], true);
    // The inner list follows the outer one; its places count from the outer header.
    let mut outer = b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0".to_vec();
    let shift = outer.len() as u32 - 8;
    let mut list = inner[8..].to_vec();
    let place = u32::from_be_bytes(list[10..14].try_into().unwrap());
    list[10..14].copy_from_slice(&(place + shift).to_be_bytes());
    outer.extend(list);
    outer
}

fn tiff(entries: &[(u16, u16, Vec<u8>)], big: bool) -> Vec<u8> {
    let short = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let long = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut header = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    header.extend(long(8));
    header.extend(short(entries.len() as u16));
    let mut data_at = header.len() + 12 * entries.len() + 4;
    let mut data = Vec::new();
    for (tag, kind, value) in entries {
        header.extend([short(*tag), short(*kind)].concat());
        header.extend([long(value.len() as u32), long(data_at as u32)].concat());
        data_at += value.len();
        data.extend_from_slice(value);
    }
    header.extend(long(0));
    [header, data].concat()
}

pub fn jpeg(segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut file = b"\xff\xd8\xff\xe0\0\x04JF".to_vec();
    for (kind, data) in segments {
        file.extend([&[0xff, *kind], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat());
    }
    file.extend(b"\xff\xda\0\x02picture\xff\xd9");
    file
}

pub fn webp(exif: &[u8]) -> Vec<u8> {
    let riff =
        |kind: &[u8], data: &[u8]| [kind, &(data.len() as u32).to_le_bytes(), data, &vec![0; data.len() % 2]].concat();
    let body = [riff(b"VP8X", &[0; 10]), riff(b"VP8 ", &[7; 21]), riff(b"EXIF", exif)].concat();
    [&b"RIFF"[..], &(body.len() as u32 + 4).to_le_bytes(), b"WEBP", &body].concat()
}

fn boxed(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32 + 8).to_be_bytes()[..], &name, data].concat()
}

/// An AVIF of which `iloc` has that version.
pub fn avif(exif: &[u8], version: u8) -> Vec<u8> {
    let infe = |id: u8, kind: &[u8]| boxed(*b"infe", &[&[2, 0, 0, 0, 0, id, 0, 0], kind, b"\0"].concat());
    let iinf = boxed(*b"iinf", &[&[0, 0, 0, 0, 0, 2][..], &infe(1, b"av01"), &infe(2, b"Exif")].concat());
    let payload = [&b"\0\0\0\x06Exif\0\0"[..], exif].concat();
    let place = |at: u32| {
        let item = |id: u8, at: u32, length: usize| {
            let id = if version < 2 { vec![0, id] } else { vec![0, 0, 0, id] };
            let method = if version == 0 { vec![] } else { vec![0, 0] };
            [&id[..], &method, &[0, 0, 0, 1], &at.to_be_bytes(), &(length as u32).to_be_bytes()].concat()
        };
        let count = if version < 2 { vec![0, 2] } else { vec![0, 0, 0, 2] };
        let items = [item(1, 0, 4), item(2, at, payload.len())].concat();
        boxed(*b"iloc", &[&[version, 0, 0, 0, 0x44, 0][..], &count, &items].concat())
    };
    let ftyp = boxed(*b"ftyp", b"avif\0\0\0\0mif1avif");
    let file = |at: u32| [ftyp.clone(), boxed(*b"meta", &[&[0; 4][..], &iinf, &place(at)].concat())].concat();
    let at = file(0).len() as u32 + 8;
    [file(at), boxed(*b"mdat", &payload)].concat()
}

/// Texts under keys, as ffmpeg writes them with `use_metadata_tags`.
pub fn mdta(texts: &[(&str, &str)]) -> Vec<u8> {
    let keys: Vec<u8> = texts.iter().flat_map(|(name, _)| boxed(*b"mdta", name.as_bytes())).collect();
    let count = (texts.len() as u32).to_be_bytes();
    let item = |(i, (_, text)): (usize, &(&str, &str))| {
        boxed((i as u32 + 1).to_be_bytes(), &boxed(*b"data", &[b"\0\0\0\x01\0\0\0\0", text.as_bytes()].concat()))
    };
    let items: Vec<u8> = texts.iter().enumerate().flat_map(item).collect();
    let hdlr = boxed(*b"hdlr", b"\0\0\0\0\0\0\0\0mdta");
    let keys = boxed(*b"keys", &[&[0; 4][..], &count, &keys].concat());
    boxed(*b"udta", &boxed(*b"meta", &[&[0; 4][..], &hdlr, &keys, &boxed(*b"ilst", &items)].concat()))
}

/// Texts under names of one's own, as players write them.
pub fn free_form(texts: &[(&str, &str)]) -> Vec<u8> {
    let item = |(name, text): &(&str, &str)| {
        let mean = boxed(*b"mean", b"\0\0\0\0com.apple.iTunes");
        let name = boxed(*b"name", &[b"\0\0\0\0", name.as_bytes()].concat());
        boxed(*b"----", &[mean, name, boxed(*b"data", &[b"\0\0\0\x01\0\0\0\0", text.as_bytes()].concat())].concat())
    };
    let items: Vec<u8> = texts.iter().flat_map(item).collect();
    boxed(*b"udta", &boxed(*b"meta", &[&[0; 4][..], &boxed(*b"hdlr", &[0; 12]), &boxed(*b"ilst", &items)].concat()))
}

/// One text as a comment.
pub fn itunes_comment(text: &str) -> Vec<u8> {
    let item = boxed(*b"\xa9cmt", &boxed(*b"data", &[b"\0\0\0\x01\0\0\0\0", text.as_bytes()].concat()));
    boxed(*b"udta", &boxed(*b"meta", &[&[0; 4][..], &boxed(*b"hdlr", &[0; 12]), &boxed(*b"ilst", &item)].concat()))
}

/// One text as a comment of QuickTime's.
pub fn old_comment(text: &str) -> Vec<u8> {
    boxed(
        *b"udta",
        &boxed(*b"\xa9cmt", &[&(text.len() as u16).to_be_bytes(), &[0x15, 0xc7][..], text.as_bytes()].concat()),
    )
}

/// A film with this user data, behind its pictures.
pub fn mp4(user: &[u8], wide: bool) -> Vec<u8> {
    let mdat = if wide {
        [&b"\0\0\0\x01mdat"[..], &(16 + 99_u64).to_be_bytes(), &[7; 99]].concat()
    } else {
        boxed(*b"mdat", &[7; 99])
    };
    [boxed(*b"ftyp", b"isom\0\0\x02\0isomiso2"), mdat, boxed(*b"moov", &[&boxed(*b"mvhd", &[0; 100]), user].concat())]
        .concat()
}

fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
    [id, &(data.len() as u64 | 1 << 56).to_be_bytes(), data].concat()
}

pub fn webm(texts: &[(&str, &str)], unsaid: bool) -> Vec<u8> {
    let tag = |(name, text): &(&str, &str)| {
        element(b"\x67\xc8", &[element(b"\x45\xa3", name.as_bytes()), element(b"\x44\x87", text.as_bytes())].concat())
    };
    let tags: Vec<u8> = texts.iter().flat_map(tag).collect();
    let tags = element(b"\x12\x54\xc3\x67", &element(b"\x73\x73", &[element(b"\x63\xc0", b""), tags].concat()));
    let cluster = element(b"\x1f\x43\xb6\x75", b"pictures \x67\xc8\x45\xa3 pictures");
    let segment = [cluster, tags].concat();
    let segment = if unsaid {
        [b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff", &*segment].concat()
    } else {
        element(b"\x18\x53\x80\x67", &segment)
    };
    [element(b"\x1a\x45\xdf\xa3", b"\x42\x82\x84webm"), segment].concat()
}

fn comments(texts: &[(&str, &str)]) -> Vec<u8> {
    let little = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let each: Vec<u8> = texts.iter().flat_map(|(name, text)| little(&format!("{name}={text}"))).collect();
    [little("writer"), (texts.len() as u32).to_le_bytes().to_vec(), each].concat()
}

pub fn flac(texts: &[(&str, &str)]) -> Vec<u8> {
    let block = |kind: u8, data: &[u8]| {
        let mut block = sized(data);
        block[0] = kind;
        block
    };
    [b"fLaC", &*block(0, &[0; 34]), &block(0x84, &comments(texts)), b"\xff\xf8sound"].concat()
}

/// Packets over pages: the first alone, the comments over as many as they need.
pub fn ogg(sign: &[u8], texts: &[(&str, &str)]) -> Vec<u8> {
    let page = |lengths: &[u8], data: &[u8]| [b"OggS", &[0; 22][..], &[lengths.len() as u8], lengths, data].concat();
    let packet = [sign, &comments(texts)].concat();
    let mut file = page(&[19], &[1; 19]);
    let pieces: Vec<&[u8]> = packet.chunks(255).collect();
    let mut lengths: Vec<u8> = pieces.iter().map(|piece| piece.len() as u8).collect();
    if packet.len() % 255 == 0 {
        lengths.push(0);
    }
    let mut from = 0;
    for lengths in lengths.chunks(2) {
        let end = from + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
        file.extend(page(lengths, &packet[from..end]));
        from = end;
    }
    file
}

fn seven_bits(n: usize) -> [u8; 4] {
    [n >> 21 & 127, n >> 14 & 127, n >> 7 & 127, n & 127].map(|part| part as u8)
}

pub fn mp3(version: u8, encoding: u8, texts: &[(&str, &str)]) -> Vec<u8> {
    let frame = |(name, text): &(&str, &str)| {
        let text = match encoding {
            1 => format!("\u{feff}{name}\0\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => format!("{name}\0{text}").into_bytes(),
        };
        let data = [vec![encoding], text].concat();
        let size = if version == 4 { seven_bits(data.len()) } else { (data.len() as u32).to_be_bytes() };
        [&b"TX\x58X"[..], &size, &[0, 0], &data].concat()
    };
    let frames: Vec<u8> = texts.iter().flat_map(frame).chain([0; 20]).collect();
    [&b"ID3"[..], &[version, 0, 0], &seven_bits(frames.len()), &frames, b"\xff\xfbsound"].concat()
}

pub fn safetensors(texts: &[(&str, &str)]) -> Vec<u8> {
    let header = format!(
        r#"{{"__metadata__":{},"latent_tensor":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#,
        both_in_one(texts)
    );
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 4]].concat()
}

pub fn glb(texts: &[(&str, &str)]) -> Vec<u8> {
    let json = format!(r#"{{"asset":{{"version":"2.0","extras":{}}}}}"#, both_in_one(texts));
    let chunk = [&(json.len() as u32).to_le_bytes()[..], b"JSON", json.as_bytes()].concat();
    [b"glTF\x02\0\0\0", &(chunk.len() as u32 + 12).to_le_bytes()[..], &chunk].concat()
}

pub fn svg(texts: &[(&str, &str)]) -> Vec<u8> {
    let metadata = both_in_one(texts);
    format!("<?xml version=\"1.0\"?>\n<svg xmlns=\"x\"><metadata>\n<![CDATA[{metadata}]]>\n</metadata><path/></svg>")
        .into()
}
