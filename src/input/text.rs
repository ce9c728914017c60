//! The text of what was read, as editors and shells of every kind write it: with a byte order mark, in UTF-8 or UTF-16.

use std::io;

use zeroize::Zeroizing;

/// The text of bytes, without the byte order mark in front.
///
/// # Errors
/// When it is no text. What it is instead is said, where it can be told; nothing of it is quoted.
pub(super) fn decode(bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    decoded(bytes, |_| Err(io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text")))
}

/// The same of PEM, which is ASCII: the words around it, of which nothing is read, may be in any other encoding.
///
/// # Errors
/// When it is no text.
pub(super) fn decode_pem(bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    decoded(bytes, |bytes| Ok(String::from_utf8_lossy(&bytes).into_owned()))
}

fn decoded(
    mut bytes: Zeroizing<Vec<u8>>,
    plain: impl FnOnce(Zeroizing<Vec<u8>>) -> io::Result<String>,
) -> io::Result<Zeroizing<String>> {
    let no_text = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what.to_owned()));
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => no_text("it is UTF-32 text: save it as UTF-8"),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0x1f, 0x8b, ..] => no_text("it is compressed (gzip), not text: decompress it first, with `gunzip`"),
        // SEQUENCE, with its length in two bytes: as certificates and keys begin.
        [0x30, 0x82, ..] => no_text(
            "it is in DER form, not text: `openssl x509 -inform der -in FILE -out FILE.pem` makes PEM of a certificate",
        ),
        bytes if bytes.contains(&0) => no_text(
            "it is no UTF-8 text: it has zero bytes, as UTF-16 without a byte order mark does; save it as UTF-8",
        ),
        _ => {
            let text = String::from_utf8(std::mem::take(&mut *bytes))
                .or_else(|error| plain(Zeroizing::new(error.into_bytes())))?;
            let text = Zeroizing::new(text);
            Ok(match text.strip_prefix('\u{feff}') {
                Some(rest) => Zeroizing::new(rest.to_owned()),
                None => text,
            })
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> io::Result<Zeroizing<String>> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(Zeroizing::new(text)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it begins like UTF-16 text, and then is none: save it as UTF-8",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_whoever_writes_it() {
        let plain = "keys: pinned\r\n# ä";
        let wide = |unit: fn(u16) -> [u8; 2]| {
            "\u{feff}".encode_utf16().chain(plain.encode_utf16()).flat_map(unit).collect::<Vec<u8>>()
        };
        let marked = format!("\u{feff}{plain}").into_bytes();
        for bytes in [plain.as_bytes().to_vec(), marked, wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(*decode(Zeroizing::new(bytes)).unwrap(), plain);
        }
        assert_eq!(*decode(Zeroizing::default()).unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_told_by_what_it_is() {
        let bare: Vec<u8> = "secret".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, said) in [
            (vec![0x1f, 0x8b, 8], "gunzip"),
            (vec![0x30, 0x82, 1, 2], "-inform der"),
            (bare, "UTF-16 without a byte order mark"),
            (vec![0xff, 0xfe, b'a'], "then is none"),
            (vec![0xff, 0xfe, 0, 0xd8], "then is none"),
            (vec![0xff, 0xfe, 0, 0, b'a', 0, 0, 0], "UTF-32"),
            (vec![b'a', 0xff], "no UTF-8"),
        ] {
            let is_latin = said == "no UTF-8";
            assert_eq!(decode_pem(Zeroizing::new(bytes.clone())).is_ok(), is_latin, "{said}");
            let error = decode(Zeroizing::new(bytes)).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
