//! The reference's pictures: a function of size and number, integers only.

use kiln_models::image::Pixels;
use serde_json::Value;

use crate::case::{CaseResult, Trouble};

/// `picture(h, w, k)`.
pub fn picture(height: usize, width: usize, k: usize) -> Result<Pixels, Trouble> {
    let (h, w, k) = (height as i64, width as i64, k as i64);
    let wave = |n: i64, p: i64| (n.rem_euclid(2 * p) - p).abs() * 255 / p;
    let value = |y: i64, x: i64, c: i64| {
        let mut v =
            i64::midpoint(wave(x * (c + 1) + 2 * y + 40 * k, 97 + 10 * c), wave(3 * y + x + 17 * k * (c + 1), 61));
        for j in 0..6 {
            let (cx, cy, r) = (137 * (j + 1) * (k + 1) % w, 89 * (j + 2) * (k + 3) % h, h.min(w) / (5 + j));
            if (x - cx).pow(2) + (y - cy).pow(2) < r * r {
                v = (60 * j + 85 * c + 31 * k) % 256;
            }
        }
        v as u8
    };
    let bytes = (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..3).map(move |c| value(y, x, c)))).collect();
    Ok(Pixels::new([height, width, 3], bytes)?)
}

/// The picture that a case's parameters name, and whether its bytes are the reference's.
pub fn of(params: &Value, check: &str) -> Result<(Pixels, CaseResult), Trouble> {
    let number = |key: &str| params.get(key).and_then(Value::as_u64).map(|n| n as usize).ok_or("a picture has h, w, k");
    let pixels = picture(number("h")?, number("w")?, number("k")?)?;
    let result = sums(&pixels, params.get(check).unwrap_or(&Value::Null));
    Ok((pixels, CaseResult { name: "picture".into(), ..result }))
}

/// Two sums of all bytes.
pub fn sums(pixels: &Pixels, expected: &Value) -> CaseResult {
    let bytes = || pixels.bytes().iter().map(|b| u64::from(*b));
    let found = [bytes().sum(), bytes().zip(0u64..).map(|(b, i)| b * (i % 251)).sum::<u64>()];
    let stored = ["sum", "weighted"].map(|key| expected.get(key).and_then(Value::as_u64).unwrap_or(0));
    CaseResult::exact("sums", found == stored, format!("{found:?} instead of {stored:?}"))
}

/// `[1, 3, h, w]` in 0..1.
pub fn planes(pixels: &Pixels) -> burn::tensor::Tensor<4> {
    let [height, width, channels] = pixels.dims();
    let channel = |c: usize| pixels.bytes().iter().skip(c).step_by(channels).map(|b| f32::from(*b) / 255.0);
    let values: Vec<f32> = (0..channels).flat_map(channel).collect();
    let data = burn::tensor::TensorData::new(values, [1, channels, height, width]);
    burn::tensor::Tensor::from_data(data, &crate::nets::recipe::device())
}
